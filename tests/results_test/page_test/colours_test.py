"""harness/results/page/style.css: colours that mean something can be told apart, and read.

Colour blindness is simulated as by Machado, Oliveira and Fernandes (2009, IEEE Trans. Vis. Comput. Graph. 15,
1291), at full severity, in linear RGB; distances are CIE 1976 in Lab, where 2.3 is just noticeable.
"""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

STYLE = files("harness.results.page").joinpath("style.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w+)", part)) for part in STYLE.split("prefers-color-scheme: dark")[:2]
)
FAMILIES = ("solved", "repaired", "wrong", "stopped", "nothing", "forged", "infra")
ROLES = ("orchestrator", "coder", "tester")
SEEN_BY = {
    "everybody": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(color):
    """Linear RGB of #rgb or #rrggbb."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    value = np.array([int(digits[n : n + 2], 16) for n in (0, 2, 4)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE Lab of linear RGB, white D65."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    """The contrast of two colours, by WCAG 2.2."""
    light, dark = sorted((float(TO_XYZ[1] @ linear(color)) for color in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, {**LIGHT, **DARK}], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
@pytest.mark.parametrize("kinds", [FAMILIES, ROLES, ("solved", "wrong")], ids=["outcomes", "roles", "matrix"])
def test_colours_are_far_apart_for_all_eyes(colors, eyes, kinds):
    """Any two that stand side by side and mean different things; letters and words tell them apart too."""
    seen = {kind: lab(np.array(SEEN_BY[eyes]) @ linear(colors[kind])) for kind in kinds}
    distances = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(kinds, 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] >= 10, (closest, distances[closest])


@pytest.mark.parametrize("colors", [LIGHT, {**LIGHT, **DARK}], ids=["light", "dark"])
def test_letters_can_be_read_on_their_colours(colors):
    """4.5 to 1 at least."""
    for kind in (*FAMILIES, *ROLES):
        ink = {"forged": "on-forged", "infra": "ink"}.get(kind, "on")
        assert contrast(colors[ink], colors[kind]) >= 4.5, kind
