"""The architecture of a VAE as data: what a file says of its networks, to make them anew."""

from torch import nn

from lfm.engine import validate
from lfm.vae import CONDITIONALS, VAE, ConditionalVAE, conv_decoder, conv_encoder, mlp

MODELS = {"VAE": VAE, "ConditionalVAE": ConditionalVAE}
NETWORKS = {f.__name__: f for f in (mlp, conv_encoder, conv_decoder)}


def spec(module: nn.Module) -> dict:
    """Return what `build` makes the same architecture from: names and numbers only.

    Raises `ValueError` for a network that this module did not make.
    """
    validate.kind(module, "module", nn.Module)
    if type(module) in (VAE, ConditionalVAE):
        parts = {"encoder": spec(module.encoder), "decoder": spec(module.decoder)}
        given = {"n_given": module.n_given} if module.n_given else {}
        sizes = {"n_factors": module.n_factors, "beta": float(module.beta)}
        return {"kind": type(module).__name__} | sizes | given | parts
    if type(module) in CONDITIONALS.values():
        options = {name: getattr(module, name) for name in module.options}
        return {"kind": type(module).__name__, "network": spec(module.network)} | options
    # A network that was changed after it was made is not what its spec says.
    if getattr(module, "spec", None) is None or module.as_made != repr(module):
        raise ValueError(
            f"the architecture of a {type(module).__name__} is not known: only networks of lfm.vae "
            "can be rebuilt from a file. Load the weights into a VAE that you made: load(path, vae)"
        )
    return module.spec


def build(parts: dict) -> nn.Module:
    """Return the module that `spec` described, its weights new.

    Raises `ValueError` or `TypeError` for anything that `spec` does not return.
    """
    parts = dict(validate.kind(parts, "parts", dict))
    kind = parts.pop("kind", None)
    try:
        return _built(kind, parts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"parts do not describe a {kind}: {error}") from None


def _built(kind, parts: dict) -> nn.Module:
    if kind in MODELS:
        encoder, decoder = build(parts.pop("encoder")), build(parts.pop("decoder"))
        return MODELS[kind](encoder, decoder, **parts)
    if kind in CONDITIONALS:
        network = build(parts.pop("network"))
        return CONDITIONALS[kind](network, **parts)
    if kind in NETWORKS:
        return NETWORKS[kind](**parts, rng=0)
    raise ValueError(
        f"parts: kind is {kind!r}; wanted one of {', '.join([*MODELS, *CONDITIONALS, *NETWORKS])}"
    )
