"""Signature files."""

from _fuzz import as_file, instrumented, main, only_our_errors

instrumented("tamannot.signature")

from tamannot._resources import resource_path
from tamannot.signature import read_signatures
from tamannot.signature._validate import validate

_FEW = ("m1", "lipid_associated", "immunoregulatory", "ferroptosis_balance", "microglia")


def seeds() -> list[bytes]:
    folder = resource_path("signatures") / "human"
    files = [path for name in _FEW for path in sorted((folder / name).glob("*.toml"))]
    small = b'schema_version = 1\nid = "a"\nversion = "1.0.0"\ntitle = "A"\ndescription = "B"\naxis = "state"\n'
    small += b'species = "human"\nlicense = "CC0-1.0"\ncreated = 2026-11-21\ngenes = [\n'
    small += b'  { symbol = "CD68", ensembl = "ENSG00000129226", weight = 0.5, references = ["a"] },\n]\n'
    small += b'\n[[references]]\nkey = "a"\ncitation = "A 2020"\ndoi = "10.1000/x"\n'
    return [small, *(path.read_bytes() for path in files)]


def one(data: bytes) -> None:
    with as_file(data, ".toml") as path:
        with only_our_errors():
            read_signatures(path)
        with only_our_errors():
            for fault in validate(path):
                if not str(fault).replace("\n", "").isprintable():
                    raise AssertionError(str(fault))


if __name__ == "__main__":
    main(one, seeds())
