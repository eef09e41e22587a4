"""Model builders: functions that return an uncompiled `keras.Model`."""

from dlrecipes.models.alexnet import alexnet
from dlrecipes.models.autoencoder import autoencoder, convolutional_autoencoder
from dlrecipes.models.biggan import biggan_discriminator, biggan_generator
from dlrecipes.models.boltzmann import deep_belief_network, restricted_boltzmann_machine
from dlrecipes.models.character_lm import character_lm
from dlrecipes.models.cyclegan import cyclegan_generator
from dlrecipes.models.dcgan import dcgan_discriminator, dcgan_generator
from dlrecipes.models.ensemble import ensemble
from dlrecipes.models.facenet import facenet_inception_resnet, facenet_small
from dlrecipes.models.faster_rcnn import faster_rcnn, faster_rcnn_detector
from dlrecipes.models.feature_pyramid import feature_pyramid
from dlrecipes.models.googlenet import googlenet
from dlrecipes.models.hopfield_network import hopfield_network
from dlrecipes.models.lenet5 import lenet5
from dlrecipes.models.multilayer_perceptron import mlp, perceptron
from dlrecipes.models.pix2pix import patchgan, pix2pix_unet
from dlrecipes.models.region_proposal_network import region_proposal_network
from dlrecipes.models.resnet import resnet
from dlrecipes.models.self_organizing_map import self_organizing_map
from dlrecipes.models.sequence import sequence_model
from dlrecipes.models.small_cnn import small_cnn
from dlrecipes.models.small_resnet import small_resnet
from dlrecipes.models.tagger import tagger
from dlrecipes.models.vgg import vgg

__all__ = [
    "alexnet",
    "autoencoder",
    "biggan_discriminator",
    "biggan_generator",
    "character_lm",
    "convolutional_autoencoder",
    "cyclegan_generator",
    "dcgan_discriminator",
    "dcgan_generator",
    "deep_belief_network",
    "ensemble",
    "facenet_inception_resnet",
    "facenet_small",
    "faster_rcnn",
    "faster_rcnn_detector",
    "feature_pyramid",
    "googlenet",
    "hopfield_network",
    "lenet5",
    "mlp",
    "patchgan",
    "perceptron",
    "pix2pix_unet",
    "region_proposal_network",
    "resnet",
    "restricted_boltzmann_machine",
    "self_organizing_map",
    "sequence_model",
    "small_cnn",
    "small_resnet",
    "tagger",
    "vgg",
]
