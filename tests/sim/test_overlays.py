"""Every public name of an overlay, and every parameter, is one that the board's firmware has."""

import ast
from fnmatch import fnmatch
from pathlib import Path
from sysconfig import get_path

import pytest

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "sim" / "balise_sim" / "overlays"
SITE = Path(get_path("purelib"))
STUBS = {"esp32": SITE, "rp2": SITE.parents[2] / "stubs" / "rp2"}  # apart: they have the same file names
MODULES = sorted(file.stem for file in OVERLAYS.glob("*.py") if not file.stem.startswith("_"))
# What boards have and the stubs do not describe, or describe for one port only
UNDESCRIBED = {
    ("machine", "Timer", "fire"): "called by the bridge only",
    ("machine", "I2S", "fire"): "called by the bridge only",
    ("socket", "socket", "fileno"): "described without parameters",
    ("machine", "Pin", "init"): "described with its own order of keywords",
    ("bluetooth", "BLE", "gatts_notify"): "described without conn_handle, which the documents have",
    ("bluetooth", "BLE", "gatts_set_buffer"): "described with conn_handle for value_handle, which the documents have",
    ("os", "sep"): "extmod/modos.c has it",
    ("os", "uname"): "described for some ports only",
    ("network", "WLAN", "SEC_WPA_WPA2"): "the documents have it for all ports",
}
# What boards have and no node of ours needs: firmware that asks for it is told that it is missing
_RARE = "no node of ours needs it yet"
_OTHER = "belongs to other boards: the stubs describe all of them together"
_WIRED = "cabled networks are not played"
MISSING = {
    "machine": {
        _RARE: """
            ADC.* ADCBlock I2S.* I2CTarget PWM.duty SPI.* SoftSPI.* SDCard DAC Counter Encoder TouchPad USBDevice
            ATTN_0DB bitstream dht_readinto mem8 mem16 mem32 mem_backup bootloader BUILTIN_*
            EXT0_WAKE EXT1_WAKE ULP_WAKE TOUCHPAD_WAKE RTC_WAKE WLAN_WAKE IDLE wake_pins sleep PIN_WAKE SLEEP
            DEEPSLEEP HARD_RESET SOFT_RESET DEEPSLEEP_RESET Pin.ALT* Pin.ANALOG Pin.DRIVE_* Pin.IRQ_*
            Pin.PULL_HOLD Pin.WAKE_* Pin.drive Pin.mode Pin.pull Pin.high Pin.low Signal.* I2C.init I2C.readinto
            I2C.start I2C.stop I2C.write SoftI2C.* UART.IDLE UART.INV_* UART.IRQ_* UART.irq UART.readinto
            UART.sendbreak RTC.ALARM0 RTC.alarm Timer.value
        """,
        _OTHER: "ADCWiPy ID_T board cpu const",
    },
    "network": {
        _RARE: "AUTH_* STAT_* MODE_* PPP route WLAN.BANDWIDTH_* WLAN.PROTOCOL_* WLAN.SEC_* WLAN.csi_* WLAN.scan "
        "WLAN.deinit WLAN.ioctl WLAN.send_ethernet",
        _WIRED: "ETH_* LAN PHY_* phy_mode",
        _OTHER: "AbstractNIC WLANWiPy",
    },
    "bluetooth": {
        "a node is a peripheral: it looks for nobody": "BLE.gattc_* BLE.gap_connect BLE.gap_scan",
        "frames are sealed: the radio need not pair": "BLE.gap_pair BLE.gap_passkey",
        _RARE: "BLE.gatts_indicate BLE.l2cap_* BLE.UUID",
    },
    "select": {"asyncio uses poll": "select"},
    "socket": {
        _RARE: "IPPROTO_SEC IP_* MSG_* SO_BINDTODEVICE socket.readinto callback print_pcbs reset",
        _OTHER: "Socket",
    },
}
Signatures = dict[str, set[str]]


def parameters(function: ast.FunctionDef) -> set[str]:
    spec = function.args
    names = {argument.arg for argument in spec.posonlyargs + spec.args + spec.kwonlyargs} - {"self"}
    return names | ({"*"} if spec.vararg else set()) | ({"**"} if spec.kwarg else set())


def on_port(body: list[ast.stmt], port: str) -> list[ast.stmt]:
    """The statements that run on this port: a module may say `if _bridge.settings["platform"] == "esp32":`."""
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and 'settings["platform"]' in ast.unparse(node.test).replace("'", '"'):
            holds = f"'{port}'" in ast.unparse(node.test)
            found += on_port(node.body if holds else node.orelse, port)
        else:
            found.append(node)
    return found


def signatures(body: list[ast.stmt], known: dict[str, Signatures]) -> Signatures:
    """Name to parameters of all its overloads; classes are followed by `signatures_of`."""
    found: Signatures = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, set()).update(parameters(node))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found.update({name: {"*"} for name in names if name not in found})
        elif isinstance(node, ast.ClassDef):
            inner = signatures(node.body, known)
            for base in node.bases:
                inner = known.get(ast.unparse(base), {}) | inner
            known[node.name] = inner
    return found


def described(path: Path, port: str) -> tuple[Signatures, dict[str, Signatures]]:
    classes: dict[str, Signatures] = {}
    functions = signatures(on_port(ast.parse(path.read_text(encoding="utf-8")).body, port), classes)
    return functions, classes


def overlay(module: str, port: str) -> tuple[Signatures, dict[str, Signatures]]:
    """What firmware finds in a module: its own names, and those that it takes from its parts (`_pins` and so on)."""
    path = OVERLAYS / f"{module}.py"
    functions, classes = described(path, port)
    for node in on_port(ast.parse(path.read_text(encoding="utf-8")).body, port):
        if not isinstance(node, ast.ImportFrom) or node.module in ("micropython", "_bridge", "_streams", "_memory"):
            continue
        part = OVERLAYS / f"{node.module}.py"
        theirs = described(part, port) if part.exists() else ({}, {})
        for alias in node.names:
            classes |= {alias.name: theirs[1][alias.name]} if alias.name in theirs[1] else {}
            if alias.name not in theirs[1]:
                functions[alias.name] = theirs[0].get(alias.name, {"*"})
    return functions, classes


def strange(ours: Signatures, theirs: Signatures, where: tuple[str, ...]) -> list[str]:
    """Names and parameters of ours that are not theirs; parameters of theirs may be any when it says *args."""
    found = []
    for name, names in ours.items():
        if (name.startswith("_") and name != "__init__") or (*where, name) in UNDESCRIBED:
            continue
        if name not in theirs:
            found.append(".".join((*where, name)))
        elif not {"*", "**"} & (theirs[name] | names):
            found += [f"{'.'.join((*where, name))}({extra})" for extra in names - theirs[name]]
    return found


def stub(module: str, port: str) -> Path:
    """The description of a module; what all ports share is among the stubs of the standard library."""
    if not (STUBS[port] / "machine.pyi").exists():
        pytest.fail(f"micropython-{port}-stubs are not installed: run `sh ./set-up venv dev`")
    own, shared = STUBS[port] / f"{module}.pyi", SITE / "stdlib" / module / "__init__.pyi"
    return own if own.exists() else shared


@pytest.mark.parametrize("port", STUBS)
@pytest.mark.parametrize("module", MODULES)
def test_names_and_parameters_are_the_boards(module: str, port: str) -> None:
    functions, classes = described(stub(module, port), port)
    our_functions, our_classes = overlay(module, port)
    assert our_functions or our_classes
    found = strange(our_functions, functions, (module,))
    for class_name, methods in our_classes.items():
        assert class_name in classes, f"{module} of {port} has no class {class_name}"
        found += strange(methods, classes[class_name], (module, class_name))
    assert not found


@pytest.mark.parametrize("port", STUBS)
@pytest.mark.parametrize("module", [module for module in MODULES if module not in ("os", "onewire")])
def test_what_is_missing_is_listed_with_its_reason(module: str, port: str) -> None:
    """`os` is not among these: its stub describes CPython's as well."""
    functions, classes = described(stub(module, port), port)
    our_functions, our_classes = overlay(module, port)
    theirs = set(functions) | set(classes)
    ours = set(our_functions) | set(our_classes)
    for name, methods in our_classes.items():
        theirs |= {f"{name}.{method}" for method in classes[name]}
        ours |= {f"{name}.{method}" for method in methods}
    patterns = [pattern for names in MISSING.get(module, {}).values() for pattern in names.split()]
    missing = [name for name in theirs - ours if not name.startswith("_") and "._" not in name]
    assert not [name for name in missing if not any(fnmatch(name, pattern) for pattern in patterns)]


def test_both_ends_of_the_bridge_number_ops_alike() -> None:
    from balise_sim.bridge import Op

    tree = ast.parse((OVERLAYS / "_bridge.py").read_text(encoding="utf-8"))
    numbers = {
        node.targets[0].id: node.value.args[0].value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.args[0], ast.Constant)
    }
    assert {op.name: op.value for op in Op} == {name: numbers[name] for name in Op.__members__}
