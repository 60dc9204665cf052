"""The README's example works as it stands."""

import re
from pathlib import Path

from xnornet.graph import save_packed

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_examples_train_a_net_quantize_and_pack_it(capsys, tmp_path, monkeypatch):
    packed, training, inference = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(training, "README.md", "exec"), names)
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(re.search(r"validation error (\d+\.\d)%", last)[1]) < 8

    monkeypatch.chdir(tmp_path)
    exec(compile(inference, "README.md", "exec"), names)
    classes = names["integers"].argmax(axis=1)
    assert (classes != names["digits"].test.labels).mean() < 0.08

    save_packed("mnist_mlp.packed.npz", names["graph"], {})
    names["images"] = names["digits"].test.images
    exec(compile(packed, "README.md", "exec"), names)
    assert (names["classes"] == classes).all()
