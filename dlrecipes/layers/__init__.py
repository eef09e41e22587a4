"""Keras layers, one public class per file, written with `keras.ops`.

The one exception is a fast path for training recurrent layers and batch normalisation on
TensorFlow.
"""

from dlrecipes.layers.anchor_boxes import AnchorBoxes
from dlrecipes.layers.batch_normalization import BatchNormalization
from dlrecipes.layers.bipolar_step import BipolarStep
from dlrecipes.layers.box_coder import BoxCoder
from dlrecipes.layers.box_matcher import BoxMatcher
from dlrecipes.layers.conditional_batch_normalization import ConditionalBatchNormalization
from dlrecipes.layers.context_window import ContextWindow
from dlrecipes.layers.elastic_distortion import ElasticDistortion
from dlrecipes.layers.ensemble_mean import EnsembleMean
from dlrecipes.layers.fake_quantize import FakeQuantize
from dlrecipes.layers.fake_quantized_kernel import FakeQuantizedKernel
from dlrecipes.layers.feedback_cell import FeedbackCell
from dlrecipes.layers.fixed_kernel_conv_2d import FixedKernelConv2D
from dlrecipes.layers.flipped_conv_2d import FlippedConv2D
from dlrecipes.layers.gaussian import Gaussian
from dlrecipes.layers.hopfield_network import HopfieldNetwork
from dlrecipes.layers.jordan_cell import JordanCell
from dlrecipes.layers.l2_normalization import L2Normalization
from dlrecipes.layers.l2_pooling_2d import L2Pooling2D
from dlrecipes.layers.linear_chain_crf import LinearChainCRF
from dlrecipes.layers.local_contrast_normalization import LocalContrastNormalization
from dlrecipes.layers.local_response_normalization import LocalResponseNormalization
from dlrecipes.layers.logistic import Logistic
from dlrecipes.layers.lstm import LSTM
from dlrecipes.layers.maxout import Maxout
from dlrecipes.layers.maxout_conv_2d import MaxoutConv2D
from dlrecipes.layers.non_max_suppression import NonMaxSuppression
from dlrecipes.layers.one_of_n import OneOfN
from dlrecipes.layers.orthogonal_regularizer import OrthogonalRegularizer
from dlrecipes.layers.pairwise_distances import PairwiseDistances
from dlrecipes.layers.partial_conv_2d import PartialConv2D
from dlrecipes.layers.peephole_lstm import PeepholeLSTM
from dlrecipes.layers.peephole_lstm_cell import PeepholeLSTMCell
from dlrecipes.layers.pyramid_roi_align import PyramidRoIAlign
from dlrecipes.layers.rbf_output import RBFOutput
from dlrecipes.layers.reflection_padding_2d import ReflectionPadding2D
from dlrecipes.layers.region_proposals import RegionProposals
from dlrecipes.layers.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from dlrecipes.layers.roi_align import RoIAlign
from dlrecipes.layers.scaled_tanh import ScaledTanh
from dlrecipes.layers.self_attention_2d import SelfAttention2D
from dlrecipes.layers.self_organizing_map import SelfOrganizingMap
from dlrecipes.layers.simple_rnn import SimpleRNN
from dlrecipes.layers.step import Step
from dlrecipes.layers.threshold_unit import ThresholdUnit
from dlrecipes.layers.trainable_subsampling_2d import TrainableSubsampling2D
from dlrecipes.layers.word_dropout import WordDropout
from dlrecipes.layers.word_hashing import WordHashing

__all__ = [
    "LSTM",
    "AnchorBoxes",
    "BatchNormalization",
    "BipolarStep",
    "BoxCoder",
    "BoxMatcher",
    "ConditionalBatchNormalization",
    "ContextWindow",
    "ElasticDistortion",
    "EnsembleMean",
    "FakeQuantize",
    "FakeQuantizedKernel",
    "FeedbackCell",
    "FixedKernelConv2D",
    "FlippedConv2D",
    "Gaussian",
    "HopfieldNetwork",
    "JordanCell",
    "L2Normalization",
    "L2Pooling2D",
    "LinearChainCRF",
    "LocalContrastNormalization",
    "LocalResponseNormalization",
    "Logistic",
    "Maxout",
    "MaxoutConv2D",
    "NonMaxSuppression",
    "OneOfN",
    "OrthogonalRegularizer",
    "PairwiseDistances",
    "PartialConv2D",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "PyramidRoIAlign",
    "RBFOutput",
    "ReflectionPadding2D",
    "RegionProposals",
    "RestrictedBoltzmannMachine",
    "RoIAlign",
    "ScaledTanh",
    "SelfAttention2D",
    "SelfOrganizingMap",
    "SimpleRNN",
    "Step",
    "ThresholdUnit",
    "TrainableSubsampling2D",
    "WordDropout",
    "WordHashing",
]
