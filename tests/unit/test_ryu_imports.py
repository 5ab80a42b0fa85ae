"""Ryu works without the modules that are left out of its import. Runs in a separate, patched process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PREPARED = """
    import inspect, sys
    from sgctl.ryu import repair as ryu_repair
    ryu_repair.prepare()
    ryu_repair.repair_imports()
"""


def run(program: str) -> None:
    """Run a program with the patched Ryu; it must succeed without output."""
    text = textwrap.dedent(PREPARED) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_slow_modules_are_not_loaded() -> None:
    run("""
        import ryu.cmd.manager, sgctl.ryu.app
        slow = {"setuptools", "pkg_resources", "distutils", "dns", "eventlet.support.greendns", "jsonschema"}
        assert not slow & sys.modules.keys(), slow & sys.modules.keys()
    """)


def test_other_code_gets_the_real_distutils() -> None:
    run("""
        import warnings
        warnings.simplefilter("ignore")
        import distutils.version, distutils.spawn
        assert "." in distutils.version.LooseVersion("1.2").vstring
    """)


def test_every_packet_class_is_known() -> None:
    run("""
        import ryu.lib.packet
        from ryu.lib.packet import packet, packet_base
        expected = {}
        for _, module in inspect.getmembers(ryu.lib.packet, inspect.ismodule):
            expected |= inspect.getmembers(
                module, lambda each: inspect.isclass(each) and issubclass(each, packet_base.PacketBase)
            )
        assert expected and packet.PKT_CLS_DICT == expected
    """)


def test_versions_of_routers_are_compared() -> None:
    run("""
        from ryu.lib.packet import zebra
        from ryu.cfg import CONF
        CONF([])
        CONF.set_override("frr_version", "3.0-dev", group="zapi")
        assert zebra._is_frr_version_ge(zebra._FRR_VERSION_2_0)
        assert zebra._is_frr_version_ge(zebra._FRR_VERSION_3_0)
        CONF.set_override("frr_version", "2.10", group="zapi")
        assert not zebra._is_frr_version_ge(zebra._FRR_VERSION_3_0)
    """)
