from . import datasets as datasets
from . import errors as errors
from . import get as get
from . import pl as pl
from . import tl as tl
from ._settings import settings as settings
from .classify import AnchoredModel as AnchoredModel
from .io import annotate_file as annotate_file
from .io import write_report as write_report
from .scoring import GSVA as GSVA
from .scoring import SSGSEA as SSGSEA
from .scoring import AUCell as AUCell
from .scoring import ModuleScore as ModuleScore
from .scoring import UCell as UCell
from .scoring import WeightedMean as WeightedMean
from .signature import Gene as Gene
from .signature import Reference as Reference
from .signature import Signature as Signature
from .signature import SignatureSet as SignatureSet
from .signature import load_signature as load_signature
from .signature import load_signatures as load_signatures
from .signature import read_signatures as read_signatures
from .signature import write_signatures as write_signatures
from .tl._concat import concat as concat
from .tl._model import Model as Model
from .tl._model import load_model as load_model

__version__: str
