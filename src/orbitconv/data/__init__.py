"""User pictures, in folders and tables; MNIST, Fashion-MNIST and CIFAR-10 from their upstream files."""

from orbitconv._support.progress import silent as silent
from orbitconv._support.progress import terminal_progress as terminal_progress
from orbitconv.data.by_name import SOURCES as SOURCES
from orbitconv.data.by_name import load as load
from orbitconv.data.errors import DataError as DataError
from orbitconv.data.folder import folder as folder
from orbitconv.data.folders.picture_dataset import PictureDataset as PictureDataset
from orbitconv.data.folders.picture_folder import PictureFolder as PictureFolder
from orbitconv.data.image_set import ImageSet as ImageSet
from orbitconv.data.pictures import grey_tiles as grey_tiles
from orbitconv.data.pictures import pictures_in as pictures_in
from orbitconv.data.pictures import sample_pictures as sample_pictures
from orbitconv.data.pictures import spread_over_folders as spread_over_folders
from orbitconv.data.published.rotated_mnist import read_rotated_mnist as read_rotated_mnist
from orbitconv.data.published.rotated_mnist import rotated_mnist as rotated_mnist
from orbitconv.data.rotation import RotatedImages as RotatedImages
from orbitconv.data.rotation import rotated as rotated
from orbitconv.data.rotation import rotated_set as rotated_set
from orbitconv.data.scaling import Scaling as Scaling
from orbitconv.data.skipped import Skipped as Skipped
