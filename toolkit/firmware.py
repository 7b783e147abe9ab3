"""Compiling a network in C and running it: here, and on emulated microcontrollers."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit.tflite import ModelError

STRICT = "-std=gnu99", "-Wall", "-Wextra", "-Werror"
SANITIZERS = "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"
LINKED_SMALL = "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-flto"
SMALLER = "-mrelax", "-fno-move-loop-invariants", "-fno-ivopts", "-fno-tree-scev-cprop"  # on AVR
SECONDS = 240  # a program may take
WASM_PROGRAMS = "clang", "wasm-ld"


class Chip(NamedTuple):
    """A processor: its compiler, that one's options, what emulates it, what its clock counts.

    tick: instructions, or for AVR cycles, in one of the ticks that the firmware tells.
    """

    title: str
    compiler: str
    options: tuple
    emulator: tuple
    tick: float


def cortex(title, processor, machine, stack_top, tick=40):
    """The Chip of a Cortex-M as QEMU has it: at `-icount shift=0` an instruction takes 1 ns."""
    options = (
        *(f"-mcpu={processor}", "-mthumb", "-ffreestanding", "-nostdlib"),
        *("-fno-tree-loop-distribute-patterns", f"-Wl,--defsym=stack_top={stack_top:#x}"),
    )
    emulator = f"qemu-system-arm -M {machine} -nographic -semihosting -icount shift=0 -kernel"
    return Chip(title, "arm-none-eabi-gcc", options, tuple(emulator.split()), tick)


CHIPS = {
    "m0": cortex("Cortex-M0", "cortex-m0", "microbit", 0x20004000, 62.5),
    "m3": cortex("Cortex-M3", "cortex-m3", "mps2-an385", 0x20400000),
    "m4": cortex("Cortex-M4", "cortex-m4", "mps2-an386", 0x20400000),
    "m7": cortex("Cortex-M7", "cortex-m7", "mps2-an500", 0x20400000),
    "uno": Chip(
        "ATmega328P",
        "avr-gcc",
        ("-mmcu=atmega328p", "-fno-jump-tables", *SMALLER),
        ("simavr", "-m", "atmega328p", "-f", "16000000"),
        1024,
    ),
}


class Run(NamedTuple):
    """What a chip made of images: bytes of flash and RAM, without images and with the stack; its
    instructions or cycles for the first image; int8 scores (n, classes)."""

    flash: int
    ram: int
    steps: int
    scores: np.ndarray


def missing(chip):
    """The names of the programs that a Chip needs and this machine lacks."""
    return [name for name in (chip.compiler, chip.emulator[0]) if not shutil.which(name)]


def install_debian(*packages, allowed=True):
    """Installs Debian packages for the chips' programs and clang if some are missing, and says so.

    allowed: whether it may; it also needs apt-get and the rights of root.
    """
    if not any(map(missing, CHIPS.values())) and all(map(shutil.which, WASM_PROGRAMS)):
        return "compilers and emulators are in place"
    if not allowed or not shutil.which("apt-get") or os.geteuid() != 0:
        return f"not in place, and not installed here: apt-get install {' '.join(packages)}"
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", "-qq", *command], capture_output=True, text=True)
    return "installed" if done.returncode == 0 else f"apt-get failed: {done.stderr.strip()[-200:]}"


def compiler_version(name):
    """The first line that a compiler says of itself."""
    return tool(name, "--version").splitlines()[0]


def tool(*command):
    """The standard output of a program; raises ModelError if it fails or is not there."""
    if not shutil.which(command[0]):
        raise ModelError(f"{command[0]} is not installed")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def run_native(code, images, sources, folder, options=("-O2",)):
    """The int8 scores (n, classes) of a Code, compiled with gcc for this machine.

    images: int8 (n, height, width, channels). sources: the folder of firmware/. folder: where the
    program is built. options: of gcc, such as SANITIZERS.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.h").write_text(code.text)
    files = [Path(sources, name) for name in ("network.c", "host.c")]
    program = folder / "network"
    tool("gcc", *STRICT, *options, "-I", folder, "-I", sources, *files, "-o", program)
    done = subprocess.run([program.resolve()], input=images.tobytes(), capture_output=True)
    if done.returncode:
        raise ModelError(f"the program failed: {done.stderr.decode()[-2000:]}")
    return np.frombuffer(done.stdout, np.int8).reshape(len(images), -1)


def build(chip, code, images, sources, folder, options):
    """The path of a program for a Chip that runs a Code over int8 images; see `run_native`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.h").write_text(code.text)
    listing = ",".join(map(str, images.ravel().tolist()))
    (folder / "images.h").write_text(
        f"#define IMAGES {len(images)}\nstatic const FLASH int8_t images[] = {{{listing}}};\n"
    )
    avr = chip.compiler == "avr-gcc"
    main = ["avr.c"] if avr else ["cortex_m.c", "-lgcc"]
    layout = [] if avr else ["-T", Path(sources, "cortex_m.ld")]
    files = [name if name[0] == "-" else Path(sources, name) for name in ("network.c", *main)]
    elf = folder / "network.elf"
    command = [chip.compiler, *STRICT, *LINKED_SMALL, *chip.options, *options, *layout]
    tool(*command, "-I", folder, "-I", sources, *files, "-o", elf)
    return elf


def emulate(chip, elf, *more):
    """What a program says on an emulated Chip. more: options of the emulator."""
    command = [chip.emulator[0], *more, *chip.emulator[1:], elf]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{chip.title} was not through after {SECONDS} s") from error
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)  # simavr writes in colours


def run_on(chip, code, images, sources, folder, options=("-Os",)):
    """The Run of a Code over a few images on an emulated Chip; see `run_native`."""
    elf = build(chip, code, images, sources, folder, options)
    sizes = tool(chip.compiler.replace("gcc", "size"), "-A", elf)
    section = {name: int(size) for name, size in re.findall(r"^\.(\w+)\s+(\d+)", sizes, re.M)}
    said = emulate(chip, elf)
    lines = [found.split() for found in re.findall(r"^[0-9a-f ]{4,}", said, re.M)]
    if len(lines) != len(images) + 1:
        raise ModelError(f"{chip.title} stopped early: {said[-500:]}")
    *told, (stack,) = lines
    return Run(
        section["text"] + section.get("data", 0) - images.nbytes,
        section.get("data", 0) + section.get("bss", 0) + int(stack, 16),
        round(int(told[0][0], 16) * chip.tick),
        np.array([[int(score, 16) for score in line[1:]] for line in told], np.uint8).view(np.int8),
    )
