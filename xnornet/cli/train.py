"""The command that trains."""

import argparse
import dataclasses
from pathlib import Path

from xnornet.catalog import ARITHMETICS, COLOR, LOSSES, NETWORKS, NETWORKS_OF, OPTIMIZERS, SCHEDULES
from xnornet.cli.datasets import add_dataset_options, check_dataset_named, load_dataset
from xnornet.cli.options import (
    NET,
    add_devices_option,
    add_hosts_options,
    add_set_option,
    in_single_precision,
    natural,
    not_negative,
    options_of,
    positive,
)
from xnornet.errors import LostHostError, UsageError

__all__ = ["add_train"]


def add_train(command, dataset):
    """Train a network and keep the weights that are best on validation images."""
    networks = NETWORKS_OF.get(dataset, NETWORKS)
    own = "of the network" if len(networks) > 1 else None
    add = command.add_argument
    usual = "" if dataset is None else f" (default: {networks[0]})"
    add(
        "--net",
        metavar=NET,
        help=f"{', '.join(networks)}, or a function of your own, (input_var, input_shape, num_classes, "
        f"**options), also as package.module:function{usual}",
    )
    add("--epochs", type=positive(int), help=f"passes over the training images{_default(own)}")
    add("--batch-size", type=positive(int), help=f"images in a step{_default(own)}")
    add("--lr", type=positive(float), help=f"rate in the first epoch{_default(own)}")
    add("--lr-end", type=positive(float), help=f"rate in the last epoch{_default(own)}")
    add(
        "--schedule",
        choices=SCHEDULES,
        help=f"how the rate changes from first to last{_default(own)}",
    )
    add("--optimizer", choices=OPTIMIZERS, help=f"Adam, or Nesterov's momentum of 0.9{_default(own)}")
    add(
        "--weight-decay",
        type=not_negative,
        metavar="SHARE",
        help=f"weight decay: share of each weight that a step subtracts, times the rate{_default(own)}",
    )
    add("--loss", choices=LOSSES, help=f"squared hinge, or cross entropy of the softmax{_default(own)}")
    add(
        "--label-smoothing",
        type=not_negative,
        metavar="SHARE",
        help=f"label smoothing: share of the cross entropy's target spread over all classes{_default(own)}",
    )
    add(
        "--patience",
        type=natural,
        metavar="N",
        help=f"stop after N epochs without a better validation error; 0: never{_default(own)}",
    )
    add(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="crop training images at random; those of CIFAR-10 are mirrored too, and get holes"
        f"{_default(own)}",
    )
    add(
        "--gradients",
        choices=ARITHMETICS,
        help="numbers that the gradients of binary layers are rounded to: int16 keeps errors below 1e-4 of a "
        f"gradient's largest value{_default(own)}",
    )
    if dataset in (None, *COLOR):
        add("--whiten", action="store_true", help="whiten the images (contrast normalization and ZCA)")
    add(
        "--seed",
        type=natural,
        default=0,
        help="random seed of weights, dropout, order and augmentation of images",
    )
    add(
        "--init",
        type=Path,
        metavar="FILE.npz",
        help="initial weights: those of the same network, or a packed model of it",
    )
    add_set_option(command)
    add(
        "--for-engine",
        action="store_true",
        help="check before training whether the packed engine can run the network",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE.npz",
        help="weights to write; header, log, curves and checkpoint are beside it (default: runs/NET.npz)",
    )
    add("--resume", action="store_true", help="resume the run from its last checkpoint")
    add(
        "--max-minutes",
        type=positive(float),
        metavar="M",
        help="stop after M minutes with a checkpoint (default: when all epochs are done)",
    )
    add_devices_option(command, ", on each host")
    add_hosts_options(command)
    add("--log", type=Path, metavar="FILE", help="also append the output to a file")
    add_dataset_options(command, dataset, fits=True)
    command.set_defaults(
        command=_train,
        interrupted="interrupted before training started or continued; an earlier checkpoint still exists",
    )


def _default(own):
    return " (default: the recipe's)" if own is None else f" (default: the recipe's, {own})"


def _train(arguments, log, started):
    from xnornet import hosts

    hosts.join(arguments.coordinator, arguments.hosts, arguments.host, log.error)
    in_single_precision()
    hosts.check_count(arguments.hosts)
    try:
        if not hosts.is_first():
            log.only_errors()
        return _train_here(arguments, log, started)
    except LostHostError as error:
        log.error(str(error))
        hosts.end(1)


def _train_here(arguments, log, started):
    """Train, on one host or on each of several."""
    from xnornet import data, networks
    from xnornet.devices import mesh_of
    from xnornet.hosts import is_first
    from xnornet.training import Recipe, check_out, checkpoint_path, recipe_of, train
    from xnornet.xla_programs import keep_programs

    keep_programs()
    mesh = mesh_of(arguments.devices)
    check_dataset_named(arguments)
    if arguments.net is None and arguments.dataset is None:
        raise UsageError(f"--images needs a network; name one with --net {NET}")
    chosen = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(Recipe)}
    try:
        network = networks.find(arguments.net or NETWORKS_OF[arguments.dataset][0])
        recipe = recipe_of(network, **chosen)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        options = networks.options(network, **options_of(arguments))
    except ValueError as error:
        raise UsageError(f"--set: {error}") from error
    out = arguments.out or Path("runs") / f"{network.short_name}.npz"
    if is_first():
        check_out(out, arguments.resume)
    if is_first() and arguments.init is not None and not arguments.init.is_file():
        raise UsageError(f"--init {arguments.init}: not found; it takes an .npz file of weights")
    whiten = getattr(arguments, "whiten", False)
    begun_with = data.whitening_path(checkpoint_path(out))
    if whiten and arguments.resume and begun_with.exists():
        whiten = data.Whitening.load(begun_with)
    dataset = load_dataset(arguments, log, whiten)
    log(
        f"{network.name} on {dataset.name}: {len(dataset.train)} training, {len(dataset.valid)} validation, "
        f"{len(dataset.test)} test images"
    )
    log(
        f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} of batches of {recipe.batch_size}, "
        f"rate {recipe.lr:g} to {recipe.lr_end:g} ({recipe.schedule}), "
        f"{'whitened, ' * bool(whiten)}{'augmented, ' * recipe.augment}seed {recipe.seed}"
    )
    train(
        network,
        dataset,
        out,
        recipe,
        options,
        resume=arguments.resume,
        report=log,
        started=started,
        init=arguments.init,
        max_minutes=arguments.max_minutes,
        for_engine=arguments.for_engine,
        mesh=mesh,
    )
    return 0
