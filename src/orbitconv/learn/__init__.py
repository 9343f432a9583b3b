"""Learning how filters turn, from images."""

from orbitconv.learn.moments import Moments as Moments
from orbitconv.learn.moments import measure_moments as measure_moments
from orbitconv.learn.whitening import whiten_images as whiten_images
