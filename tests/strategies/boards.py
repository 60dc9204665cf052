"""Processors under QEMU: how a program is compiled for each, and run."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from c_programs import compiler, run

__all__ = ["BOARDS", "PROCESSORS", "Board", "Processor"]

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks/boards"


@dataclass(frozen=True)
class Board:
    """A microcontroller: programs print and end by semihosting.

    Attributes
    ----------
    compiler, emulator : str
    flags : str
        Of the compiler.
    machine : str
        Options of the emulator.
    source : str
        What starts the program.
    flash, ram : int
        Where they begin.
    """

    compiler: str
    flags: str
    emulator: str
    machine: str
    source: str
    flash: int
    ram: int

    def build(self, sources, out, level="-O2", extra=()):
        places = [f"-Wl,--defsym={name}={at:#x}" for name, at in (("FLASH", self.flash), ("RAM", self.ram))]
        start = [FOLDER / self.source, "-T", FOLDER / "board.ld", *places, "-nostartfiles"]
        if "picolibc" in self.flags:
            specs = run(compiler(self.compiler), "-print-file-name=picolibc.specs").decode().strip()
            if specs == "picolibc.specs":
                pytest.skip("needs picolibc for RISC-V")
        command = [compiler(self.compiler), *self.flags.split(), "-std=c99", "-fno-builtin-printf", level]
        run(*command, *extra, *sources, *start, "-o", out)
        return out

    def run(self, program, *options, timeout=600):
        command = [compiler(self.emulator), *self.machine.split(), "-display", "none", "-monitor", "none"]
        semihosting = ["-serial", "none", "-chardev", "stdio,id=printed"]
        semihosting += ["-semihosting-config", "enable=on,target=native,chardev=printed"]
        return run(*command, *semihosting, *options, "-kernel", program, timeout=timeout).decode()


@dataclass(frozen=True)
class Processor:
    """A processor whose programs run by themselves under qemu-user."""

    compiler: str
    flags: str
    emulator: str

    def build(self, sources, out, level="-O2", extra=()):
        flags = [*self.flags.split(), "-std=c99", "-static", level, *extra]
        run(compiler(self.compiler), *flags, *sources, "-o", out)
        return out

    def run(self, program, *options, timeout=600):
        return run(compiler(self.emulator), program, timeout=timeout).decode()


def _cortex_m(name, machine, flash=0, ram=0x20000000):
    flags = f"-mcpu={name} -mthumb -mfloat-abi=soft"
    return Board(
        "arm-none-eabi-gcc", flags, "qemu-system-arm", f"-M mps2-{machine}", "cortex_m.c", flash, ram
    )


BOARDS = {
    "Cortex-M3": _cortex_m("cortex-m3", "an385"),
    "Cortex-M4": _cortex_m("cortex-m4", "an386"),
    "Cortex-M7": _cortex_m("cortex-m7", "an500"),
    "Cortex-M33": _cortex_m("cortex-m33", "an505", 0x10000000, 0x38000000),
    "RV32IMC": Board(
        "riscv64-unknown-elf-gcc",
        "-march=rv32imc -mabi=ilp32 --specs=picolibc.specs",
        "qemu-system-riscv32",
        "-M virt -bios none",
        "riscv.c",
        0x80000000,
        0x80800000,
    ),
}

PROCESSORS = {
    "aarch64": Processor("aarch64-linux-gnu-gcc", "", "qemu-aarch64"),
    "armhf": Processor("arm-linux-gnueabihf-gcc", "", "qemu-arm"),
    "powerpc, big-endian": Processor("powerpc-linux-gnu-gcc", "", "qemu-ppc"),
}
