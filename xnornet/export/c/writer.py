"""The files of an exported network, as text."""

import re
from importlib import resources

from xnornet.export.c.golden import as_stored, digest, scores_of

__all__ = ["golden_source", "header_source", "identifier", "network_source", "runtime", "check_source"]

KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while"
).split()


def identifier(text):
    """A name as C takes it."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII).strip("_") or "network"
    return f"n_{name}" if name[0].isdigit() or name in KEYWORDS else name


def runtime(name):
    """A file of the kernels."""
    return resources.files("xnornet.export.c").joinpath("runtime", name).read_text(encoding="utf-8")


def _string(text):
    escaped = "".join(c if c.isprintable() and c.isascii() and c not in '"\\?' else "_" for c in str(text))
    return f'"{escaped}"'


def _comment(text):
    """Text that cannot end a comment."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text).replace("*/", "* /")


def header_source(export):
    """NAME.h: shapes, sizes, and the two functions."""
    name, upper = export.name, export.name.upper()
    channels, rows, columns = export.input_shape
    classes = "\n".join(f"    {_string(c)}, \\" for c in export.classes).removesuffix(", \\")
    names = f"#define {upper}_CLASS_NAMES \\\n{classes}\n\n" if export.classes else ""
    return f"""/* {_comment(export.title)}
 *
 * Written by xnornet {export.version}. Compile {name}.c and xnor.c, and call
 *
 *     static uint32_t arena[{upper}_ARENA / 4];
 *     int found = {name}_classify(pixels, arena);
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* Pixels of an image: rows x columns x channels bytes, the channels of a pixel side by side.
 * {_comment(export.scaling)} */
#define {upper}_ROWS {rows}
#define {upper}_COLUMNS {columns}
#define {upper}_CHANNELS {channels}
#define {upper}_PIXELS {rows * columns * channels}

/* Scores of an image, in units of 2**-{upper}_SCORE_FRACTION_BITS. */
#define {upper}_SCORES {export.scores_count}
#define {upper}_SCORE_FRACTION_BITS {export.score_fraction_bits}

{names}/* Bytes of the arena, the network's working memory. Nothing in it is kept from call to call, so that
 * networks may share one; each thread needs its own. */
#define {upper}_ARENA {export.arena}

/* Bytes of stack that a call takes at most, on 32-bit processors. */
#define {upper}_STACK {export.sizes["stack"]}

/* Bytes of constants: weights, thresholds and tables. */
#define {upper}_CONSTANTS {export.constants}

/* Scores of an image. `arena` begins at a multiple of 4. Returns 0, or 1 where it does not: then nothing is
 * done. */
int {name}_run(const uint8_t *pixels, int64_t *scores, void *arena);

/* The class of an image: the first of the largest scores; or -1 where the arena is not aligned. */
int {name}_classify(const uint8_t *pixels, void *arena);

#ifdef __cplusplus
}}
#endif

#endif
"""


def network_source(export):
    """NAME.c: constants and one function for each layer, in order, and the calls."""
    name, upper = export.name, export.name.upper()
    parts = [
        f"""/* {_comment(export.title)}
 *
 * Constants, one function for each layer, and the calls in their order. xnor.h says what the kernels compute,
 * and how images lie in the arena. Q(bits, int_bits): a number n stands for n / 2**(bits - int_bits).
 */
#include "{name}.h"

#include "xnor.h"

/* What to do with each layer's output; test.c compares it. */
#ifndef {upper}_AFTER_LAYER
#define {upper}_AFTER_LAYER(layer, y)
#endif
"""
    ]
    for function in export.functions:
        comment = "\n * ".join(map(_comment, function.comment))
        body = "\n".join(f"    {line}" for text in function.body for line in text.split("\n"))
        arrays = "".join(f"{array}\n\n" for array in function.arrays)
        parameters = ", ".join(function.parameters)
        parts.append(f"/* {comment} */\n{arrays}static void {function.name}({parameters})\n{{\n{body}\n}}\n")
    calls = "\n".join(_call(export, i) for i in range(len(export.layers)))
    channels, rows, columns = export.scores.shape
    parts.append(
        f"""int {name}_run(const uint8_t *pixels, int64_t *scores, void *arena)
{{
    static const struct xnor_shape shape = {{{rows}, {columns}, {channels}}};
    uint8_t *memory = (uint8_t *)arena;
    if ((uintptr_t)arena % 4 != 0)
        return 1;
{calls}
    xnor_scores(&shape, (const int16_t *)(void *)(memory + {export.scores.memory.offset}), scores);
    return 0;
}}

int {name}_classify(const uint8_t *pixels, void *arena)
{{
    int64_t scores[{upper}_SCORES];
    return {name}_run(pixels, scores, arena) ? -1 : xnor_largest({upper}_SCORES, scores);
}}
"""
    )
    return "\n".join(parts)


def _call(export, i):
    layer, function = export.layers[i], export.functions[i]
    values = [*([] if layer.inputs else ["pixels"])]
    for value in (*layer.inputs, layer.output):
        kind = "uint32_t" if value.signs else "int16_t"
        values.append(f"({kind} *)(void *)(memory + {value.memory.offset})")
    if layer.scratch:
        values.append(f"memory + {layer.scratch.offset}" if layer.scratch.bytes else "0")
    after = f"{export.name.upper()}_AFTER_LAYER({i}, memory + {layer.output.memory.offset});"
    return f"    {function.name}({', '.join(values)});\n    {after}"


def golden_source(export, pixels, values, outputs):
    """golden.h: images, their scores, and a digest of what each layer writes."""
    name = export.name
    digests = [[0] * len(pixels) if n is None else digest(n).tolist() for n in outputs]
    rows = "\n".join(f"    {{{', '.join(f'0x{d[i]:08x}u' for d in digests)}}}," for i in range(len(pixels)))
    images = ",\n".join("    {" + _lines(row.tolist()) + "}" for row in as_stored(pixels))
    scores = ",\n".join("    {" + _lines(row.tolist(), "INT64_C({})") + "}" for row in scores_of(values))
    return f"""/* What {name}.c has to give for {len(pixels)} images, by the definitions of its operations. */
#include <stdint.h>

#define {name.upper()}_GOLDEN {len(pixels)}

static const uint8_t {name}_pixels[{len(pixels)}][{export.input_count}] = {{
{images}
}};

static const int64_t {name}_golden_scores[{len(pixels)}][{export.scores_count}] = {{
{scores}
}};

/* A digest of what each layer writes for each image; 0 where it is not compared. */
static const uint32_t {name}_digests[{len(pixels)}][{len(export.layers)}] = {{
{rows}
}};
"""


def _lines(numbers, form="{}", columns=24):
    texts = [form.format(n) for n in numbers]
    return ",\n     ".join(", ".join(texts[i : i + columns]) for i in range(0, len(texts), columns))


def check_source(export):
    """test.c: a program that compares each layer's output with what it has to be."""
    name, upper = export.name, export.name.upper()
    layers = ",\n".join(
        f"    {{{_string(layer.name)}, {-(-v.count // 32) if v.signs else v.count}, {int(v.signs)}}}"
        for layer in export.layers
        for v in [layer.output]
    )
    return f"""/* Compares {name}.c with golden.h, layer by layer: says ok, or which layer differs first. */
#include <stdio.h>

static void {name}_after_layer(int layer, const void *y);
#define {upper}_AFTER_LAYER(layer, y) {name}_after_layer(layer, y)

#include "{name}.c"

#include "golden.h"

static const struct {{
    const char *name;
    int32_t count; /* of words of signs, or of numbers */
    int signs;
}} {name}_layers[{len(export.layers)}] = {{
{layers}
}};

static int {name}_image, {name}_differs;

static void {name}_after_layer(int layer, const void *y)
{{
    uint32_t digest = 2166136261u, expected = {name}_digests[{name}_image][layer];
    int32_t i;
    for (i = 0; i < {name}_layers[layer].count; i++) {{
        int signs = {name}_layers[layer].signs;
        digest ^= signs ? ((const uint32_t *)y)[i] : (uint32_t)((const int16_t *)y)[i];
        digest *= 16777619u;
    }}
    if (expected != 0 && digest != expected && !{name}_differs) {{
        puts("{name} differs first in layer");
        puts({name}_layers[layer].name);
        {name}_differs = 1;
    }}
}}

int main(void)
{{
    static uint32_t arena[{upper}_ARENA / 4];
    int64_t scores[{upper}_SCORES];
    int i;
    for ({name}_image = 0; {name}_image < {upper}_GOLDEN; {name}_image++) {{
        {name}_run({name}_pixels[{name}_image], scores, arena);
        for (i = 0; i < {upper}_SCORES; i++)
            if (scores[i] != {name}_golden_scores[{name}_image][i] && !{name}_differs) {{
                puts("{name} differs in its scores");
                {name}_differs = 1;
            }}
        if ({name}_differs) {{
            char image[] = "image 000";
            for (i = 8; i > 5; i--, {name}_image /= 10)
                image[i] = (char)('0' + {name}_image % 10);
            puts(image);
            return 1;
        }}
    }}
    puts("{name} ok");
    return 0;
}}
"""


def makefile(export):
    """Makefile: builds test.c and runs it."""
    name = export.name
    return f"""# `make` compares the network with golden.h here. Another compiler: make CC=clang CFLAGS=-O3
CC = cc
CFLAGS = -O2

check: test
\t./test

test: test.c {name}.c {name}.h golden.h xnor.c xnor.h
\t$(CC) -std=c99 -Wall -Wextra $(CFLAGS) -o $@ test.c xnor.c

clean:
\trm -f test

.PHONY: check clean
"""


def readme(export):
    """README.md: how to put the network into a project, with its sizes."""
    name, upper, taken = export.name, export.name.upper(), export.sizes
    channels, rows, columns = export.input_shape
    layers = "\n".join(
        f"| `{layer.name}` | {function.comment[0].partition(': ')[2].replace('|', chr(92) + '|')} "
        f"| {' x '.join(map(str, (*layer.output.shape[1:], layer.output.shape[0])))} "
        f"{'signs' if layer.output.signs else 'numbers'} | {function.bytes} | {layer.output.memory.bytes} |"
        for layer, function in zip(export.layers, export.functions, strict=True)
    )
    return f"""# {name}

{export.title}

C99 that needs no library but `stdint.h` and `string.h`: integers only, no heap, no recursion, reentrant,
for either byte order. Its scores are those of xnornet's engine, bit for bit.

## Into a project

Compile `{name}.c` and `xnor.c` (`-Os` for size, `-O2` for speed), and call

```c
#include "{name}.h"

static uint32_t arena[{upper}_ARENA / 4];

int classify(const uint8_t *pixels)
{{{{
    return {name}_classify(pixels, arena);
}}}}
```

`pixels` are {rows} x {columns} x {channels} bytes: rows, columns, channels. {export.scaling}
`{name}_run` gives all {export.scores_count} scores.

## Does it compute the same on my board?

`make` compiles `test.c` and runs it here: it compares the scores of ten images, and the output of each layer,
with `golden.h`, and prints `{name} ok`, or the layer that differs first. The same file is a program for the
board; it prints by `puts`.

## Sizes

| | bytes | |
|---|---|---|
| flash | {taken["flash"]} | {taken["constants"]} of constants, at most {taken["code"]} of code |
| RAM | {taken["ram"]} | {taken["arena"]} of arena, at most {taken["stack"]} of stack |

| layer | what it computes | output | bytes of constants | bytes of output |
|---|---|---|---|---|
{layers}
""".replace("{{", "{").replace("}}", "}")
