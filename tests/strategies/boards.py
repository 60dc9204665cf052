"""Processors under QEMU: how a program is compiled for each, and run."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from c_programs import compiler, run

__all__ = ["BOARDS", "FOLDER", "PROCESSORS", "Board", "Processor"]

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
        How it starts, and calls the emulator.
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
        program, flags = compiler(self.compiler), self.flags.split()
        if "picolibc" in self.flags:
            specs = run(program, "-print-file-name=picolibc.specs").decode().strip()
            if specs == "picolibc.specs":
                pytest.skip("needs picolibc for RISC-V")
        objects = []
        for i, source in enumerate([*sources, FOLDER / "start.c", FOLDER / self.source]):
            objects.append(f"{out}{i}.o")
            run(program, *flags, "-std=c99", level, *extra, "-c", source, "-o", objects[-1])
        places = [f"-Wl,--defsym={name}={at:#x}" for name, at in (("FLASH", self.flash), ("RAM", self.ram))]
        # Libraries are those of the processor without extensions.
        flags = [flag.partition("_")[0] for flag in flags]
        run(program, *flags, *objects, "-T", FOLDER / "board.ld", *places, "-nostartfiles", "-o", out)
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


def _riscv(architecture, processor=""):
    flags = f"-march={architecture} -mabi=ilp32 --specs=picolibc.specs"
    machine = f"-M virt -bios none{processor}"
    flash, ram = 0x80000000, 0x80800000
    return Board("riscv64-unknown-elf-gcc", flags, "qemu-system-riscv32", machine, "riscv.c", flash, ram)


BOARDS = {
    "Cortex-M3": _cortex_m("cortex-m3", "an385"),
    "Cortex-M4": _cortex_m("cortex-m4", "an386"),
    "Cortex-M7": _cortex_m("cortex-m7", "an500"),
    "Cortex-M33": _cortex_m("cortex-m33", "an505", 0x10000000, 0x38000000),
    "RV32IMC": _riscv("rv32imc"),
    # With an instruction that counts ones.
    "RV32IMC Zbb": _riscv("rv32imc_zbb", " -cpu rv32,zbb=true"),
}

PROCESSORS = {
    "aarch64": Processor("aarch64-linux-gnu-gcc", "", "qemu-aarch64"),
    "armhf": Processor("arm-linux-gnueabihf-gcc", "", "qemu-arm"),
    "powerpc, big-endian": Processor("powerpc-linux-gnu-gcc", "", "qemu-ppc"),
}
