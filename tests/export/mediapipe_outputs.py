"""Run by a Python with `mediapipe`; arguments: MODEL IMAGES.npz OUTPUTS.json TASK.

Writes each image's labels and scores, the best first, for an `ImageClassifier`, its vector for an
`ImageEmbedder`, and for an `ObjectDetector` label, score and box of each object.
"""

import json
import sys
from pathlib import Path

import mediapipe as mp
import numpy as np

model, images, outputs, task = sys.argv[1:]
with getattr(mp.tasks.vision, task).create_from_model_path(model) as loaded:
    results = []
    for array in np.load(images).values():
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(array))
        if task == "ImageEmbedder":
            vector = loaded.embed(image).embeddings[0].embedding
            results.append(np.asarray(vector).tolist())
        elif task == "ObjectDetector":
            objects = []
            for entry in loaded.detect(image).detections:
                box = entry.bounding_box
                corners = [box.origin_x, box.origin_y]
                corners += [box.origin_x + box.width, box.origin_y + box.height]
                # MediaPipe joins objects of different classes that have the same box.
                objects += [[x.category_name, x.score, corners] for x in entry.categories]
            results.append(sorted(objects, key=lambda entry: -entry[1]))
        else:
            (head,) = loaded.classify(image).classifications
            results.append([[entry.category_name, entry.score] for entry in head.categories])
Path(outputs).write_text(json.dumps(results), encoding="utf-8")
