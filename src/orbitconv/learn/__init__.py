"""Learning how filters turn, from images."""

from orbitconv.learn.autoencoder import BasisTraining as BasisTraining
from orbitconv.learn.autoencoder import TrainedBasis as TrainedBasis
from orbitconv.learn.autoencoder import train_basis as train_basis
from orbitconv.learn.losses import equivariance_loss as equivariance_loss
from orbitconv.learn.losses import orthogonality_loss as orthogonality_loss
from orbitconv.learn.losses import reconstruction_loss as reconstruction_loss
from orbitconv.learn.moments import Moments as Moments
from orbitconv.learn.moments import measure_moments as measure_moments
from orbitconv.learn.refine import FineTuning as FineTuning
from orbitconv.learn.refine import fine_tune_basis as fine_tune_basis
from orbitconv.learn.refine import share_learned_basis as share_learned_basis
from orbitconv.learn.rotators import ImageRotator as ImageRotator
from orbitconv.learn.rotators import image_rotator as image_rotator
from orbitconv.learn.whitening import whiten_images as whiten_images
