# needs: pyiec61850-ng==1.6.1.10
"""pyiec61850-ng (libiec61850, C) with itself: attributes read and written, of every basic type that it offers."""

import json
import subprocess
import sys
import time

from pyiec61850 import pyiec61850 as iec
from tap import Tap, free_port


def model():
    ied = iec.IedModel_create("plant")
    device = iec.LogicalDevice_create("TANK", ied)
    zero = iec.LogicalNode_create("LLN0", device)
    iec.CDC_ENS_create("Mod", iec.toModelNode(zero), 0)
    node = iec.LogicalNode_create("TTMP1", device)
    parent = iec.toModelNode(node)
    made = {
        "TmpSv": iec.CDC_SAV_create("TmpSv", parent, 0, False),
        "OutTmp": iec.CDC_ASG_create("OutTmp", parent, 0, False),
        "Ind": iec.CDC_SPS_create("Ind", parent, 0),
        "Cnt": iec.CDC_INS_create("Cnt", parent, 0),
    }
    leaf = lambda name, path: iec.toDataAttribute(iec.ModelNode_getChild(iec.toModelNode(made[name]), path))
    return ied, leaf


def client(port):
    """A process of its own: the library holds Python's lock while it waits for the tap."""
    connection = iec.IedConnection_create()
    error = iec.IedConnection_connect(connection, "127.0.0.1", port)
    assert right(error), error
    for line in sys.stdin:
        n = int(line)
        told = []
        for call, place, item, constraint in (
            (iec.IedConnection_readFloatValue, "TmpSv.instMag.f", "MX$TmpSv$instMag$f", iec.IEC61850_FC_MX),
            (iec.IedConnection_readBooleanValue, "Ind.stVal", "ST$Ind$stVal", iec.IEC61850_FC_ST),
            (iec.IedConnection_readInt32Value, "Cnt.stVal", "ST$Cnt$stVal", iec.IEC61850_FC_ST),
        ):
            value, error = call(connection, f"plantTANK/TTMP1.{place}", constraint)
            assert error == iec.IED_ERROR_OK, error
            told.append((item, float(value)))
        place = "plantTANK/TTMP1.OutTmp.setMag.f"
        error = iec.IedConnection_writeFloatValue(connection, place, iec.IEC61850_FC_SP, 0.5 * n)
        assert right(error), error
        print(json.dumps(told), flush=True)
    iec.IedConnection_close(connection)


def right(error):
    return (error[-1] if isinstance(error, (tuple, list)) else error) == iec.IED_ERROR_OK


def main(folder):
    ied, leaf = model()
    server = iec.IedServer_create(ied)
    iec.IedServer_setWriteAccessPolicy(server, iec.IEC61850_FC_SP, iec.ACCESS_POLICY_ALLOW)
    port = free_port()
    iec.IedServer_start(server, port)
    assert iec.IedServer_isRunning(server), "the server did not start"
    tap = Tap(102)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    asks = subprocess.Popen([sys.executable, __file__, "client", str(tap.tcp(port))], **pipes)
    tag = lambda item: f"plantTANK/TTMP1${item}/0"
    for n in range(25):
        values = [20.5 + n / 4, n % 2 == 0, 1000 * n - 7]
        iec.IedServer_lockDataModel(server)
        iec.IedServer_updateFloatAttributeValue(server, leaf("TmpSv", "instMag.f"), values[0])
        iec.IedServer_updateBooleanAttributeValue(server, leaf("Ind", "stVal"), values[1])
        iec.IedServer_updateInt32AttributeValue(server, leaf("Cnt", "stVal"), values[2])
        iec.IedServer_unlockDataModel(server)
        print(n, file=asks.stdin, flush=True)
        told = json.loads(asks.stdout.readline())
        assert [value for _, value in told] == [float(value) for value in values], (told, values)
        for item, value in told:
            tap.read(tag(item), value)
        tap.wrote(tag("SP$OutTmp$setMag$f"), 0.5 * n)
    asks.stdin.close()
    asks.wait(20)
    time.sleep(0.3)
    tap.save(folder, "mms")
    # The library's threads do not end by themselves.
    sys.stdout.flush()
    iec.IedServer_stop(server)


if sys.argv[1] == "client":
    client(int(sys.argv[2]))
else:
    main(sys.argv[1])
