from ._oligodendroglioma import oligodendroglioma as oligodendroglioma
from ._simulate import simulate as simulate
