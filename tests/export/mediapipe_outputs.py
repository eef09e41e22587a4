"""Run by a Python with `mediapipe`; arguments: MODEL IMAGES.npy OUTPUTS.json TASK.

Writes each image's labels and scores, the best first, for an `ImageClassifier`, and its vector for
an `ImageEmbedder`.
"""

import json
import sys
from pathlib import Path

import mediapipe as mp
import numpy as np

model, images, outputs, task = sys.argv[1:]
with getattr(mp.tasks.vision, task).create_from_model_path(model) as loaded:
    results = []
    for array in np.load(images):
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(array))
        if task == "ImageEmbedder":
            vector = loaded.embed(image).embeddings[0].embedding
            results.append(np.asarray(vector).tolist())
        else:
            (head,) = loaded.classify(image).classifications
            results.append([[entry.category_name, entry.score] for entry in head.categories])
Path(outputs).write_text(json.dumps(results), encoding="utf-8")
