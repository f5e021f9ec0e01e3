# needs: c104==2.2.1
"""c104 (lib60870-C) with itself: interrogation, spontaneous values of the common types, commands."""

import sys
import time

import c104
from tap import Tap, free_port

T = c104.Type
MEASURED = [
    (11, T.M_SP_NA_1, [True, False]),
    (12, T.M_DP_NA_1, [c104.Double.ON, c104.Double.OFF]),
    (13, T.M_ME_NB_1, [c104.Int16(-321), c104.Int16(7)]),
    (14, T.M_ME_NC_1, [21.5, -3.25]),
    (15, T.M_SP_TB_1, [True, False]),
    (16, T.M_ME_TF_1, [98.5, 97.25]),
]
COMMANDS = [
    (31, T.C_SC_NA_1, True),
    (32, T.C_SE_NB_1, c104.Int16(1234)),
    (33, T.C_SE_NC_1, 65.5),
]


RECEIVED = []


def obey(point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage) -> c104.ResponseState:
    RECEIVED.append(point.io_address)
    return c104.ResponseState.SUCCESS


def wait(until, otherwise):
    deadline = time.time() + 20
    while not until():
        assert time.time() < deadline, otherwise
        time.sleep(0.02)


def number(value):
    if isinstance(value, c104.Double):
        return {c104.Double.INTERMEDIATE: 0, c104.Double.OFF: 1, c104.Double.ON: 2}.get(value, 3)
    return float(value)


def main(folder):
    port = free_port()
    server = c104.Server(ip="127.0.0.1", port=port)
    station = server.add_station(common_address=47)
    points = {ioa: station.add_point(io_address=ioa, type=kind) for ioa, kind, _ in MEASURED}
    for ioa, kind, values in MEASURED:
        points[ioa].value = values[0]
    for ioa, kind, _ in COMMANDS:
        station.add_point(io_address=ioa, type=kind).on_receive(callable=obey)
    server.start()

    tap = Tap(2404)
    client = c104.Client()
    connection = client.add_connection(ip="127.0.0.1", port=tap.tcp(port), init=c104.Init.NONE)
    remote = connection.add_station(common_address=47)
    mirrors = {ioa: remote.add_point(io_address=ioa, type=kind) for ioa, kind, _ in MEASURED}
    orders = {ioa: remote.add_point(io_address=ioa, type=kind) for ioa, kind, _ in COMMANDS}
    client.start()
    wait(lambda: connection.is_connected, "no connection")
    if connection.is_muted:
        connection.unmute()
    wait(lambda: connection.state == c104.ConnectionState.OPEN, f"the connection is {connection.state}")
    connection.interrogation(common_address=47)
    time.sleep(0.5)
    for ioa, _, values in MEASURED[:4]:
        tap.read(f"47/{ioa}", number(values[0]))
    for ioa, _, values in MEASURED:
        points[ioa].value = values[1]
        assert points[ioa].transmit(cause=c104.Cot.SPONTANEOUS)
        wait(lambda: number(mirrors[ioa].value) == number(values[1]), f"the client was not told {ioa}")
        tap.read(f"47/{ioa}", number(values[1]))
    for ioa, _, value in COMMANDS:
        orders[ioa].value = value
        # The client now and then misses an answer that comes at once; what the server was told counts.
        orders[ioa].transmit(cause=c104.Cot.ACTIVATION)
        wait(lambda: RECEIVED[-1:] == [ioa], f"the server was not told {ioa}")
        tap.wrote(f"47/{ioa}", number(value))
    time.sleep(0.3)
    client.stop()
    server.stop()
    tap.save(folder, "iec104")


main(sys.argv[1])
