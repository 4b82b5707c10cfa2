import re
from pathlib import Path

import pytest

from phonsmith.errors import PhonsmithError
from phonsmith.site import load_site


def test_everything_but_the_campaigns_has_a_default():
    site = load_site({"campaigns": ["si-demo"]})
    assert site.mirrors == []
    assert site.partitions.model_dump() == {"cpu": "cpu", "gpu": "gpu"}
    assert load_site({"campaigns": ["si-demo"], "mirrors": None}).mirrors == []


def test_the_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    site = load_site({"campaigns": ["si-demo"], "mirrors": ["~/data", "../data"]})
    assert site.mirrors == ["/home/somebody/data", str(Path("../data"))]


def test_what_is_checked_once_is_the_same_checked_again():
    site = load_site({"campaigns": ["si-demo"], "mirrors": ["~/data"]})
    assert load_site(site.model_dump()) == site


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "campaigns: is missing"),
        ({"campaigns": "si-demo"}, r"campaigns: .*list.*'si-demo'"),
        ({"campaigns": []}, "campaigns: .*at least 1"),
        ({"campaigns": ["../si-demo"]}, "campaigns.0: a name has letters"),
        ({"campaigns": ["a"], "mirror": []}, "mirror: unknown key"),
        ({"campaigns": ["a"], "mirrors": [3]}, "mirrors.0: .*string"),
        ({"campaigns": ["a"], "partitions": {"cpus": "x"}}, "partitions.cpus: unknown key"),
        ({"campaigns": ["a"], "partitions": {"gpu": ""}}, "partitions.gpu: .*at least 1"),
    ],
)
def test_a_fault_is_named_with_file_and_key(config, words):
    with pytest.raises(PhonsmithError, match=r"config/config\.yaml: ") as caught:
        load_site(config)
    assert re.search(words, str(caught.value))
    assert "\n" not in str(caught.value)
