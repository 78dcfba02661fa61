"""The folder of a training run: its files, its lock, and what becomes of the run that stood there before.

`fit` does all of it for its ``out``. Whatever else leaves a run does the same by hand::

    folder = RunFolder(path, configuration).identified()
    with new_run(path):                         # locked; an earlier run is set aside
        ...                                     # train
        folder.write_configuration()            # with the run's identity, which the model's metadata are to hold too
        ...                                     # write the model: a name in `folder.MODELS`
                                                # the end of the block drops the earlier run
"""

from pushforward.training.runs.folder import RunFolder
from pushforward.training.runs.lock import locked
from pushforward.training.runs.replacement import leftover, new_run, put_back, repair, resumed_run

__all__ = ["RunFolder", "leftover", "locked", "new_run", "put_back", "repair", "resumed_run"]
