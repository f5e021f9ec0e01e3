# needs: bacpypes3==0.0.110
"""bacpypes3 with itself over UDP: present values read and written, and a refusal."""

import asyncio
import socket
import sys

from bacpypes3.apdu import ErrorRejectAbortNack
from bacpypes3.app import Application
from bacpypes3.argparse import SimpleArgumentParser
from bacpypes3.local.analog import AnalogOutputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryValueObject
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier, Real
from tap import Tap, free_port


class Proxy(asyncio.DatagramProtocol):
    """Between the client's and the server's sockets: what comes from one goes to the other."""

    def __init__(self, tap, server):
        self.tap, self.server, self.client = tap, server, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        from_client = address != self.server
        if from_client:
            self.client = address
        self.tap.datagram(from_client, data)
        self.transport.sendto(data, self.server if from_client else self.client)


def application(name, instance, port):
    arguments = ["--name", name, "--instance", str(instance), "--address", f"127.0.0.1/32:{port}"]
    return Application.from_args(SimpleArgumentParser().parse_args(arguments))


async def main(folder):
    server_port, client_port, proxy_port = (free_port(socket.SOCK_DGRAM) for _ in range(3))
    server = application("boiler", 4711, server_port)
    server.add_object(AnalogValueObject(objectIdentifier="analog-value,1", objectName="temperature", presentValue=61.5))
    server.add_object(AnalogOutputObject(objectIdentifier="analog-output,2", objectName="valve", presentValue=0.0))
    server.add_object(BinaryValueObject(objectIdentifier="binary-value,3", objectName="burner", presentValue="active"))
    client = application("operator", 4712, client_port)
    tap = Tap(47808)
    proxy = lambda: Proxy(tap, ("127.0.0.1", server_port))
    await asyncio.get_running_loop().create_datagram_endpoint(proxy, local_addr=("127.0.0.1", proxy_port))
    device = IPv4Address(f"127.0.0.1:{proxy_port}")

    async def value_of(name):
        return await client.read_property(device, ObjectIdentifier(name), "present-value")

    for n in range(5):
        tap.read(":1/", float(await value_of("analog-value,1")))
        await client.write_property(
            device, ObjectIdentifier("analog-output,2"), "present-value", Real(12.5 + n), priority=8
        )
        tap.wrote(":2/", 12.5 + n)
        tap.read(":2/", float(await value_of("analog-output,2")))
    tap.read(":3/", int(await value_of("binary-value,3")))
    try:
        await value_of("analog-value,9")
        raise AssertionError("an object that is not there was read")
    except ErrorRejectAbortNack:
        pass
    tap.save(folder, "bacnet")


asyncio.run(main(sys.argv[1]))
