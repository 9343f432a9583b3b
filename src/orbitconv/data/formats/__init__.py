"""Readers of picture files, one module for each library that knows a family of formats."""

from orbitconv.data.formats.opened import Opened as Opened
from orbitconv.data.formats.opened import Region as Region
from orbitconv.data.formats.picture import Pages as Pages
from orbitconv.data.formats.picture import Picture as Picture
from orbitconv.data.formats.picture import open_picture as open_picture
from orbitconv.data.formats.picture import read as read
from orbitconv.data.formats.picture import regions as regions
from orbitconv.data.formats.recognised import SUFFIXES as SUFFIXES
from orbitconv.data.formats.recognised import is_picture as is_picture
