"""Reading data: one file per format, all of them giving a `Dataset` of in-memory tensors."""

from pushforward.data.arrays import load_arrays
from pushforward.data.cifar10 import load_cifar10
from pushforward.data.dataset import Dataset, split
from pushforward.data.digits import load_digits
from pushforward.data.folders import load_image_folder
from pushforward.data.idx import load_idx, load_mnist, read_idx, write_idx
from pushforward.data.labels import Labels, load_labels
from pushforward.data.load import load_data
from pushforward.data.molecules import graphs_as_molecules, load_smiles, molecules_as_graphs
from pushforward.data.pictures import read_picture
from pushforward.data.places import as_latitude_longitude, as_unit_vectors
from pushforward.data.streams import ParquetStream
from pushforward.data.table_files import TableFile, is_table, open_table
from pushforward.data.tables import iterate_table, load_table
from pushforward.data.text import decode_text, encode_text, load_wonderland, text_windows
from pushforward.data.toys import (
    ENERGIES,
    TOYS,
    Funnel,
    ImageDensity,
    ManyWell,
    Potts,
    ToyDensity,
    addition,
    chirps,
    load_toy,
    tones,
    toy,
)

__all__ = [
    "ENERGIES",
    "TOYS",
    "Dataset",
    "Funnel",
    "ImageDensity",
    "Labels",
    "ManyWell",
    "ParquetStream",
    "Potts",
    "TableFile",
    "ToyDensity",
    "addition",
    "as_latitude_longitude",
    "as_unit_vectors",
    "decode_text",
    "encode_text",
    "chirps",
    "graphs_as_molecules",
    "is_table",
    "iterate_table",
    "load_arrays",
    "load_cifar10",
    "load_data",
    "load_digits",
    "load_idx",
    "load_image_folder",
    "load_labels",
    "load_mnist",
    "load_smiles",
    "load_table",
    "load_toy",
    "load_wonderland",
    "molecules_as_graphs",
    "open_table",
    "read_idx",
    "read_picture",
    "split",
    "text_windows",
    "tones",
    "toy",
    "write_idx",
]
