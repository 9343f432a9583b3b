"""Make any CNN equivariant: its layers are exchanged in place, its forwards stay."""

from orbitconv.conversion.convert import convert as convert
from orbitconv.conversion.converted import Converted as Converted
from orbitconv.conversion.report import ConversionReport as ConversionReport
