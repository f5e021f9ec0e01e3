# needs: yadnp3==3.2.1.4
"""yadnp3 (opendnp3, C++) with itself: static values of every kind, events with and without asking, commands."""

import sys
import threading
import time

import opendnp3 as dnp3
from tap import Tap, free_port

OUTSTATION, MASTER, POINTS = 10, 1, 4
ONLINE = dnp3.Flags(1)
# Events and commands are places of the static group.
STATIC = {2: 1, 4: 3, 11: 10, 12: 10, 22: 20, 32: 30, 41: 40, 42: 40}


def place(group, index):
    return f"{OUTSTATION}/g{STATIC.get(group, group)}v0/{index}"


class Told(dnp3.ISOEHandler):
    """Keeps what the master was told: place and value."""

    def __init__(self):
        super().__init__()
        self.values = []

    def BeginFragment(self, info):
        pass

    def EndFragment(self, info):
        pass

    def Process(self, info, values):
        group = int(info.gv.name.removeprefix("Group").split("Var")[0])
        for item in values:
            if not hasattr(item.value, "value"):  # times and strings, which nobody set
                continue
            self.values.append((place(group, item.index), item.value.value))


class Obey(dnp3.ICommandHandler):
    """Takes every command on the first two points of a kind and refuses the others."""

    def Begin(self):
        pass

    def End(self):
        pass

    def Select(self, command, index):
        return dnp3.CommandStatus.SUCCESS if index < 2 else dnp3.CommandStatus.NOT_SUPPORTED

    def Operate(self, command, index, handler, kind):
        return self.Select(command, index)


def number(value):
    return float(getattr(value, "value", value))


def main(folder):
    port = free_port()
    manager = dnp3.DNP3Manager(2)
    quiet, retry = dnp3.LogLevels(0), dnp3.ChannelRetry.Default()
    endpoint = dnp3.IPEndpoint("127.0.0.1", port)
    server = manager.AddTCPServer("server", quiet, dnp3.ServerAcceptMode.CloseNew, endpoint, None)
    there = dnp3.OutstationStackConfig(dnp3.DatabaseConfig(POINTS))
    there.outstation.eventBufferConfig = dnp3.EventBufferConfig.AllTypes(50)
    there.outstation.params.allowUnsolicited = True
    there.link.LocalAddr, there.link.RemoteAddr = OUTSTATION, MASTER
    orders, application = Obey(), dnp3.IOutstationApplication()
    outstation = server.AddOutstation("outstation", orders, application, there)

    tap = Tap(20000)
    endpoint = dnp3.IPEndpoint("127.0.0.1", tap.tcp(port))
    client = manager.AddTCPClient("client", quiet, retry, [endpoint], "127.0.0.1", None)
    here = dnp3.MasterStackConfig()
    here.link.LocalAddr, here.link.RemoteAddr = MASTER, OUTSTATION
    told, listener = Told(), dnp3.IMasterApplication()
    master = client.AddMaster("master", told, listener, here)

    def update(step):
        changes = dnp3.UpdateBuilder()
        now = dnp3.DNPTime(1_700_000_000_000 + step)
        for index in range(POINTS):
            changes.Update(dnp3.Binary((index + step) % 2 == 0, ONLINE, now), index)
            changes.Update(dnp3.Analog(100.0 * index - 7 * step, ONLINE, now), index)
            changes.Update(dnp3.Counter(1000 * step + index, ONLINE, now), index)
            changes.Update(dnp3.AnalogOutputStatus(5.0 * index + step), index)
            changes.Update(dnp3.BinaryOutputStatus((index + step) % 2 == 1), index)
            state = dnp3.DoubleBit.DETERMINED_ON if (index + step) % 2 else dnp3.DoubleBit.DETERMINED_OFF
            changes.Update(dnp3.DoubleBitBinary(state), index)
        outstation.Apply(changes.Build())

    update(0)
    outstation.Enable()
    master.Enable()
    deadline = time.time() + 20
    while len(told.values) < 6 * POINTS and time.time() < deadline:
        time.sleep(0.1)
    assert len(told.values) >= 6 * POINTS, f"the master was told {len(told.values)} values"
    for step in (1, 2):
        update(step)
        time.sleep(0.7)
    master.ScanClasses(dnp3.ClassField.AllClasses(), told)
    time.sleep(0.7)

    on = dnp3.ControlRelayOutputBlock(dnp3.OperationType.LATCH_ON)
    trip = dnp3.ControlRelayOutputBlock(dnp3.OperationType.PULSE_ON, dnp3.TripCloseCode.TRIP)
    for give, command, index, group, value in [
        (master.DirectOperate, on, 0, 12, 1),
        (master.SelectAndOperate, trip, 1, 12, 0),
        (master.DirectOperate, dnp3.AnalogOutputInt16(-321), 0, 41, -321),
        (master.SelectAndOperate, dnp3.AnalogOutputInt32(70000), 1, 41, 70000),
        (master.DirectOperate, dnp3.AnalogOutputFloat32(21.5), 0, 41, 21.5),
        (master.SelectAndOperate, dnp3.AnalogOutputDouble64(-0.125), 1, 41, -0.125),
    ]:
        done = threading.Event()
        give(command, index, lambda result: done.set())
        assert done.wait(10), f"no answer to group {group}, {index}"
        tap.wrote(place(group, index), value)
    time.sleep(0.3)
    manager.Shutdown()
    for where, value in told.values:
        tap.read(where, number(value))
    tap.save(folder, "dnp3")


main(sys.argv[1])
