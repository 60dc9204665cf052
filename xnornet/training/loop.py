"""Training from the first epoch to the last, and the files that a run writes.

Where several hosts train together, all of them run this, and the first one reads, writes and reports for all.

For ``--out NAME.npz`` a run writes ``NAME.npz`` and ``NAME.json`` (the weights that were best on the
validation images), ``NAME.log.csv``, ``NAME.curves.png``, and until it ends ``NAME.checkpoint.npz``.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import lasagne
import numpy as np
from tqdm import tqdm

from xnornet import hosts, networks
from xnornet.data import Dataset, preprocessing_of, save_whitening, whitening_path
from xnornet.disk import probe, remove_leftovers
from xnornet.engine.plan import Plan
from xnornet.errors import LostHostError, ModelError, Stopped, TrainingError, WriteError
from xnornet.graph import is_packed, load_packed
from xnornet.ops import computed_by, instruction_set
from xnornet.quantization import quantize, unpack
from xnornet.training.augmentation import augmentation_of
from xnornet.training.checkpoint import (
    Tally,
    checkpoint_path,
    claim,
    environment,
    load_checkpoint,
    run_identity,
    save_checkpoint,
)
from xnornet.training.curves import write_curves, write_log
from xnornet.training.recipes import Recipe, recipe_of
from xnornet.training.steps import Steps
from xnornet.training.stop import StopRequests
from xnornet.training.weights import load_header, load_weights, save_weights

__all__ = ["check_out", "train"]

# Images for batch norm's statistics when a run begins with a packed model.
IMAGES_FOR_STATISTICS = 2000

# Images to quantize a network with, to check that the engine can run it.
IMAGES_FOR_TRIAL = 16

# Of all files that a run writes.
SUFFIXES = (
    *(".npz", ".json", ".log.csv", ".curves.png", ".whitening.npz"),
    *(".checkpoint.npz", ".checkpoint.whitening.npz"),
)

# If epochs take less, the figure of the curves is drawn only at the end of the run.
SECONDS_WORTH_A_PICTURE = 10

# Age of the last checkpoint at which a new one is written: between two steps, and after an epoch.
SECONDS_BETWEEN_CHECKPOINTS = 300
SECONDS_WORTH_A_CHECKPOINT = 10

LOSS_NAMES = {"hinge": "squared hinge loss", "crossentropy": "cross entropy"}


def train(
    network,
    dataset,
    out,
    recipe=None,
    arguments=None,
    resume=False,
    report=print,
    started=None,
    init=None,
    max_minutes=None,
    for_engine=False,
    on_epoch=None,
    mesh=None,
):
    """Train a network and keep the weights that are best on the validation images.

    Parameters
    ----------
    network : str, callable or Source
        A name of ``xnornet.networks.NETWORKS``, ``FILE.py:FUNCTION``, ``package.module:function``, or the
        function itself.
    dataset : Dataset
    out : str or Path
        The ``.npz`` file to write; other files of the run lie beside it.
    recipe : Recipe or dict, optional
        By default the network's own; a dictionary changes that.
    arguments : dict, optional
        Options of the network.
    resume : bool
        Continue from the last checkpoint. On a CPU the result is bit for bit that of an uninterrupted run.
    report : callable
        Called with each line for people to read.
    started : float, optional
        ``time.monotonic()`` when the program started, for the time to the first step.
    init : str or Path, optional
        Weights of the same network to begin with, in place of random ones, or a packed model of it.
    max_minutes : float, optional
        Write a checkpoint and stop after this time.
    for_engine : bool
        Before training, check that the packed engine can run the network.
    on_epoch : callable, optional
        Called after each epoch with its row: a dictionary of ``epoch``, ``lr``, ``loss``, ``train_error``,
        ``valid_error``, ``images_per_second`` and ``seconds``.
    mesh : jax.sharding.Mesh, optional
        Devices that each batch is divided among, from ``xnornet.devices.mesh_of``. If they are of several
        hosts, all of these call this function with the same arguments, and ``report`` is called on the first.

    Returns
    -------
    float
        Error of the kept weights on the test images.

    Raises
    ------
    TrainingError, ModelError, NetworkError
        The run cannot start or continue.
    ValueError
        The network is unknown, or an option or a field of the recipe is wrong.
    Stopped
        It was asked to stop, and wrote a checkpoint.
    LostHostError
        Another host was lost. The first host, if it is left, has written a checkpoint.
    """
    started = time.monotonic() if started is None else started
    out, first = Path(out), hosts.is_first()
    if first:
        check_out(out, resume)
    else:
        report = _ignore
    source = networks.find(network)
    if not isinstance(recipe, Recipe):
        recipe = recipe_of(source, **(recipe or {}))
    run = _Run(
        source, dataset, out, recipe, arguments or {}, report, started, init, for_engine, on_epoch, mesh
    )
    run.check_devices()
    with claim(out) if first else nullcontext():
        for suffix in SUFFIXES if first else ():
            remove_leftovers(out.with_suffix(suffix))
        try:
            with hosts.watched():
                run.prepare(resume, max_minutes)
                with StopRequests(max_minutes, started) as stop:
                    if not resume:
                        run.save()
                    while not run.done:
                        run.epoch(stop)
                    return run.finish(stop)
        except WriteError as error:
            raise TrainingError(f"{error}. {run.standing}") from error
        except LostHostError as error:
            if run.saved is not None:
                run.save()
            raise LostHostError(f"{error}. {run.standing}") from error


def _ignore(line):
    """In place of a report."""


@dataclass
class _Run:
    """A training run: its options, its state and its progress."""

    source: networks.Source
    dataset: Dataset
    out: Path
    recipe: Recipe
    arguments: dict
    report: Callable
    started: float
    init: str | Path | None
    for_engine: bool
    on_epoch: Callable | None
    mesh: object | None
    history: list = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    # The best epoch is searched from this one on, as the weights of epochs before it are lost.
    kept_from: int = 0
    # When the state was last that of a checkpoint, by ``time.monotonic()``.
    saved: float | None = None

    def check_devices(self):
        """Raise a `TrainingError` if the devices cannot divide a batch evenly."""
        if self.mesh is None:
            return
        size, count = self._batch_size, self.mesh.size
        if size % count:
            even = [n for n in (size // count * count, -(-size // count) * count) if n]
            raise TrainingError(
                f"A batch of {size} images cannot be divided evenly among {count} devices; take --batch-size "
                f"{' or '.join(map(str, even))}, or fewer --devices"
            )
        of_hosts = f" of {hosts.count()} hosts" if hosts.count() > 1 else ""
        self.report(f"on {count} devices{of_hosts}, {size // count} images of each batch on each")

    def prepare(self, resume, max_minutes):
        """Compile, and set the state to that of the last checkpoint, of given weights, or of none."""
        recipe = self.recipe
        # First, while the compiler has no other kernels to compile than the one that is tried here.
        self.report(f"gradients of binary layers: {computed_by(recipe.gradients)}{_kernels()}")
        arguments = networks.options(self.source, **self.arguments)
        self.augmentation = augmentation_of(self.dataset) if recipe.augment else None
        self.steps = Steps(self.source, arguments, self.dataset, recipe, self.augmentation, self.mesh)
        if self.for_engine:
            _check_engine(self.source.name, self.steps.layer, self.dataset)
        if computed_by(recipe.gradients).endswith("in kernels"):
            _report_others(self.steps.layer, self.report)
        self.identity = run_identity(
            self.source.name,
            arguments,
            self.dataset,
            recipe,
            network_md5=self.source.md5,
            preprocessing=preprocessing_of(self.dataset),
            init=None if self.init is None else str(self.init),
        )
        self._check_hosts(resume, max_minutes)
        if hosts.is_first():
            self._begin(resume)
        self._share(self.steps.state)
        if resume:
            self.saved = time.monotonic()

    def _begin(self, resume):
        """Set the state from files, on the first host."""
        if resume:
            self.history, self.tally, before = load_checkpoint(self.out, self.identity, self.steps.state)
            if not self._has_kept():
                self.kept_from = len(self.history)
            self.report(f"resumed {self._position}{_changes(before, environment())}")
            return
        if self.init is not None:
            self._begin_with(self.init)
        if self.out.exists():
            self.report(f"{self.out}: is there already; the first epoch's weights take its place")
        if self.dataset.whitening is not None:
            save_whitening(checkpoint_path(self.out), self.dataset.whitening)

    def _check_hosts(self, resume, max_minutes):
        """Raise a `TrainingError` if another run was started on one of the hosts."""
        if hosts.count() == 1:
            return
        own = {**self.identity, "resume": resume, "max_minutes": max_minutes, "devices": self.mesh.size}
        wanted = json.loads(hosts.from_first(json.dumps(own).encode()))
        different = [name for name in own if own[name] != wanted.get(name)]
        wrong = np.flatnonzero(hosts.of_all(len(different)))
        if different:
            told = ", ".join(f"{name} {own[name]!r} (there {wanted.get(name)!r})" for name in different)
            raise TrainingError(f"This host has other options or images than the first one: {told}")
        if wrong.size:
            raise TrainingError(
                f"Host {wrong[0]} has other options or images than this one, and reports which; pass the same"
            )

    def _share(self, variables):
        """Give all hosts the values that the first one has, and the epochs that it has done."""
        if hosts.count() == 1:
            return
        own = json.dumps([self.history, dataclasses.asdict(self.tally)])
        self.history, tally = json.loads(hosts.from_first(own.encode()))
        self.tally = Tally(**tally)
        values = [v.get_value(borrow=True) for v in variables]
        content = hosts.from_first(b"".join(value.tobytes() for value in values))
        for variable, value in zip(variables, values, strict=True):
            own, content = content[: value.nbytes], content[value.nbytes :]
            variable.set_value(np.frombuffer(own, value.dtype).reshape(value.shape))

    def _begin_with(self, path):
        """Load the weights of a file, or those that a packed model contains."""
        if not is_packed(path):
            self._load(path)
            return
        model, _ = load_packed(path)
        try:
            unpack(model, self.steps.layer, self.dataset.train.images[:IMAGES_FOR_STATISTICS])
        except ValueError as error:
            raise ModelError(
                f"{path}: {error}, {self.source.name} with these options; give those that it was trained with"
            ) from error

    def _has_kept(self):
        """Whether the weights on disk match their header; a kill between writing the two separates them."""
        try:
            return self.out.exists() and bool(load_header(self.out))
        except ModelError:
            return False

    def _load(self, path):
        networks.set_weights(self.steps.layer, load_weights(path, self.steps.params))

    @property
    def done(self):
        """Whether all epochs are done, or ``patience`` epochs brought no lower validation error."""
        if len(self.history) >= self.recipe.epochs:
            return True
        errors = [row["valid_error"] for row in self.history]
        since = len(errors) - 1 - errors.index(min(errors)) if errors else 0
        return bool(self.recipe.patience) and since >= self.recipe.patience

    @property
    def _position(self):
        """The progress of the run, in words."""
        epochs, steps = len(self.history), len(self.tally.losses)
        if steps:
            return f"in epoch {epochs + 1} of {self.recipe.epochs}, after step {steps}"
        return f"after epoch {epochs} of {self.recipe.epochs}"

    @property
    def standing(self):
        """Whether the run can be resumed, in words."""
        if not hosts.is_first():
            return "The first host has the checkpoints; --resume continues from the last one"
        if checkpoint_path(self.out).exists():
            return "The last checkpoint is complete, and --resume continues from it"
        return "No checkpoint had been written yet"

    def save(self):
        """Write a checkpoint."""
        if hosts.is_first():
            save_checkpoint(self.out, self.identity, self.history, self.tally, self.steps.state)
        self.saved = time.monotonic()

    def _between(self, stop):
        """Called between two steps: write a checkpoint if one is due, and stop if requested."""
        stop.agree()
        if stop.reason is not None:
            self._stop(stop)
        if time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def _stop(self, stop):
        self.save()
        raise Stopped(f"{stop.reason} {self._position}; --resume continues from there", stop.status)

    def _error(self, split, stop):
        """Error on a split. Only a signal stops it, so that a run with a short time limit gets further."""

        def between():
            stop.agree()
            if stop.signalled:
                self._stop(stop)

        return self.steps.error(split, between=between)

    def epoch(self, stop):
        """One epoch, or the rest of a resumed one."""
        self._pass(stop)
        # The loss may be finite although a weight is not, since signs are finite.
        if not self.steps.finite():
            raise self._diverged("Weights are")
        count = len(self.tally.losses) * self._batch_size
        begun = time.monotonic()
        row = {
            "epoch": len(self.history) + 1,
            "lr": self.recipe.lr_at(len(self.history)),
            "loss": float(np.mean(self.tally.losses)),
            "train_error": self.tally.errors / count,
            "valid_error": self._error(self.dataset.valid, stop),
            "images_per_second": count / self.tally.seconds,
        }
        row["seconds"] = self.tally.seconds + time.monotonic() - begun
        self.history.append(row)
        self.tally = Tally()
        self._keep(row)

    def _pass(self, stop):
        """The steps of an epoch, in an order that depends on seed and epoch alone."""
        epoch, size = len(self.history), self._batch_size
        count = len(self.dataset.train)
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(count)
        batches = order[: count // size * size].reshape(-1, size)
        inputs = [batches]
        if self.augmentation is not None:
            rng = np.random.default_rng([self.recipe.seed, epoch, 1])
            draws = self.augmentation.draw(rng, batches.size, self.dataset.input_shape[1:])
            inputs.append(draws.reshape(*batches.shape, -1))
        self.steps.set_lr(self.recipe.lr_at(epoch))
        done = len(self.tally.losses)
        self.steps.expect(batches[done:])
        steps_per_call = self.steps.steps_per_call(len(batches))
        bar = {"total": batches.size, "initial": done * size, "unit": "img", "ncols": 100, "leave": False}
        bar["disable"] = None if hosts.is_first() else True
        with tqdm(desc=f"epoch {epoch + 1}/{self.recipe.epochs}", **bar) as bar:
            while done < len(batches):
                # One by one if fewer steps are left than a call takes: another number needs another program.
                alone = done % steps_per_call or len(batches) - done < steps_per_call
                count = 1 if alone else steps_per_call
                self._step([values[done : done + count] for values in inputs])
                done += count
                errors = self.tally.errors / (done * size)
                bar.set_postfix_str(f"loss {self.tally.losses[-1]:.4f}, error {errors:.2%}", refresh=False)
                bar.update(count * size)
                self._between(stop)

    def _step(self, inputs):
        """One step, or several in one call."""
        begun = time.monotonic()
        losses, errors = self.steps.steps(*inputs)
        now = time.monotonic()
        if not np.isfinite(losses).all():
            raise self._diverged("The loss is")
        if not self.history and not self.tally.losses:
            self.report(f"first training step {now - self.started:.1f} s after the start")
        for loss, wrong in zip(losses, errors, strict=True):
            self.tally.add(loss, wrong, (now - begun) / len(losses))

    def _diverged(self, what):
        return TrainingError(
            f"{what} no longer finite in epoch {len(self.history) + 1}; delete "
            f"{checkpoint_path(self.out)}, and train with a smaller --lr"
        )

    @property
    def _batch_size(self):
        return min(self.recipe.batch_size, len(self.dataset.train))

    def _keep(self, row):
        """Write and report an epoch's results."""
        if hosts.is_first():
            self._write(row)
        self.report(_summary(row, self.history, self.recipe))
        if self.on_epoch is not None:
            self.on_epoch(dict(row))

    def _write(self, row):
        """Write an epoch's files, the checkpoint last: a run that is killed before that repeats the epoch."""
        history, recipe = self.history, self.recipe
        if row["valid_error"] <= min(r["valid_error"] for r in history[self.kept_from :]):
            if self.dataset.whitening is not None:
                save_whitening(self.out, self.dataset.whitening)
            values = [p.get_value(borrow=True) for p in self.steps.params]
            save_weights(self.out, values, self._header(row))
        write_log(self.out.with_suffix(".log.csv"), history)
        if row["seconds"] > SECONDS_WORTH_A_PICTURE or self.done:
            title = f"{self.source.name} on {self.dataset.name}"
            write_curves(self.out.with_suffix(".curves.png"), history, title, LOSS_NAMES[recipe.loss])
        if time.monotonic() - self.saved > SECONDS_WORTH_A_CHECKPOINT:
            self.save()

    def _header(self, row):
        """The JSON header that is written beside the weights."""
        file = self.source.file
        return {
            "format": 1,
            **self.identity,
            **({} if file is None else {"network_path": str(file)}),
            "class_names": list(self.dataset.class_names),
            "epoch": row["epoch"],
            "errors": {"train": row["train_error"], "valid": row["valid_error"]},
            **environment(),
        }

    def finish(self, stop):
        """Test the best weights, and delete the checkpoint."""
        if len(self.history) < self.recipe.epochs:
            self.report(f"stopped early: nothing better for {self.recipe.patience} epochs")
        if hosts.is_first():
            self._load(self.out)
        self._share(self.steps.params)
        error = self._error(self.dataset.test, stop)
        checkpoint = checkpoint_path(self.out)
        for file in (checkpoint, whitening_path(checkpoint)) if hosts.is_first() else ():
            file.unlink(missing_ok=True)
        self.report(f"kept {self.out}: test error {error:.2%} on {len(self.dataset.test)} images")
        return error


def _summary(row, history, recipe):
    best = min(r["valid_error"] for r in history)
    return (
        f"epoch {row['epoch']:3d}/{recipe.epochs}  loss {row['loss']:.4f}  "
        f"train {row['train_error']:6.2%}  valid {row['valid_error']:6.2%}  best {best:6.2%}  "
        f"{row['images_per_second']:6.0f} img/s  {row['seconds']:5.1f} s"
    )


def _kernels():
    name = instruction_set()
    return f"; kernels for {name}" if name else "; no kernels"


def _report_others(layer, report):
    """Report how many binary layers XLA computes because the kernels do not support them."""
    binary = [one for one in lasagne.layers.get_all_layers(layer) if hasattr(one, "has_kernels")]
    others = sum(not one.has_kernels for one in binary)
    if others:
        report(
            f"gradients of {others} of {len(binary)} binary layers: float32 in XLA, as kernels take no "
            "depthwise convolutions, nor as wide dilation or as long sums"
        )


def _changes(before, now):
    """The differences between a checkpoint's environment and this one, in words."""
    before, now = (
        {"xnornet": e["version"], **e["versions"], "kernels for": e["kernels"]} for e in (before, now)
    )
    changed = [
        f"{name} {before.get(name)} (now {now[name]})" for name in now if before.get(name) != now[name]
    ]
    return f"; the checkpoint was written with {', '.join(changed)}" if changed else ""


def check_out(out, resume):
    """Check, before training, that the results of a run can be written.

    Parameters
    ----------
    out : Path
    resume : bool
        Whether to continue an unfinished run.

    Raises
    ------
    TrainingError
        They cannot be written, or there is an unfinished run without ``resume``, or none with it.
    """
    if out.suffix != ".npz":
        raise TrainingError(f"--out is {out}; it takes the name of an .npz file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe(out)
    except OSError as error:
        raise TrainingError(
            f"--out {out}: cannot be written ({error.strerror}); choose another place"
        ) from error
    if out.is_dir():
        raise TrainingError(f"--out {out}: is a folder; it takes the name of an .npz file")
    checkpoint = checkpoint_path(out)
    if checkpoint.exists() and not resume:
        raise TrainingError(
            f"{checkpoint}: an unfinished run is there; pass --resume to continue it, or delete it to "
            "start over"
        )
    if resume and not checkpoint.exists():
        raise TrainingError(
            f"{checkpoint}: not found, so there is nothing to resume; the run has finished or never began"
        )


def _check_engine(name, layer, dataset):
    """Raise a `TrainingError` unless the packed engine can run a network, whatever its weights will be."""
    try:
        graph = quantize(layer, dataset.train.images[:IMAGES_FOR_TRIAL])
        Plan(graph, threads=1)
    except (ValueError, ModelError) as error:
        raise TrainingError(f"{name}: the packed engine cannot run it: {error}") from error
