"""How many parameters the tasks of a multi-task experiment use alone, beside those of the whole network.

A task alone uses the encoder and its own head: a network for one task that is as large as that of all would
have as many parameters more as the other heads have. Prints both counts for each head, and their difference.
Nothing is trained: the classes come from the train split of the first seed.

Example: python benchmarks/parameters.py multitask_timit multitask_emodb
"""

import sys

import keras
import numpy as np

from audiomtl import config
from audiomtl.data import catalog, protocols, scaling, text
from audiomtl.data.pauses import pauses_of
from audiomtl.families.multitask.examples import classes_of, with_arrays
from audiomtl.families.multitask.network import Known, network
from audiomtl.families.multitask.settings import Settings
from audiomtl.families.multitask.viterbi import positions


def whole(settings: Settings, seed: int) -> keras.Model:
    """The network with all heads."""
    table = text.with_phones(with_arrays(catalog.clips(settings.data)), settings.text)
    train = protocols.divide(table, settings.data, settings.protocol, seed).train
    names = {name: classes_of(name, head, train, settings) for name, head in settings.heads.items()}
    texts = list(train[settings.inputs.text].dropna()) if settings.inputs.text else []
    pauses = pauses_of(settings.data)
    symbols = tuple(sorted({symbol for phones in texts for symbol in positions(phones, pauses)}))
    scaler = scaling.fit([np.zeros((1, settings.features.n_bands), np.float32)], settings.features.scaling)
    return network(settings, Known(names, symbols, scaler), seed)


def main(experiments: list[str]) -> None:
    print(f"{'experiment':<24}{'head':<12}{'alone':>10}{'together':>10}{'more':>12}")
    for name in experiments:
        settings = config.load_experiment(name).settings
        assert isinstance(settings, Settings), f"{name}: not of the family multitask"
        model = whole(settings, settings.seeds[0])
        together = model.count_params()
        for head in settings.heads:
            alone = keras.Model(model.inputs, model.output[head]).count_params()
            print(f"{name:<24}{head:<12}{alone:>10,}{together:>10,}{together / alone - 1:>12.1%}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["multitask_timit", "multitask_emodb", "multitask_scenes", "multitask_singing"])
