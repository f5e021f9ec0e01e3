# needs: asyncua==2.1.0
"""asyncua with itself, without encryption: reads, writes and a subscription of every scalar type."""

import asyncio
import logging
import sys

from asyncua import Client, Server, ua
from tap import Tap, free_port

TYPES = [
    ("Boolean", ua.VariantType.Boolean, [True, False, True]),
    ("Byte", ua.VariantType.Byte, [0, 200, 255]),
    ("Int16", ua.VariantType.Int16, [-5, 32767, 12]),
    ("UInt16", ua.VariantType.UInt16, [1, 65535, 7]),
    ("Int32", ua.VariantType.Int32, [-70000, 70000, 3]),
    ("UInt32", ua.VariantType.UInt32, [4_000_000_000, 1, 2]),
    ("Int64", ua.VariantType.Int64, [-(2**40), 2**40, 5]),
    ("Float", ua.VariantType.Float, [1.5, -0.25, 3.14159]),
    ("Double", ua.VariantType.Double, [2.718281828, -1e-3, 21.75]),
    ("String", ua.VariantType.String, ["cold", "warm", "hot"]),
]


class Changes:
    def __init__(self, tap, names):
        self.tap, self.names, self.count = tap, names, 0

    def datachange_notification(self, node, value, _data):
        self.count += 1
        self.tap.read(self.names[node.nodeid], value)


async def main(folder):
    logging.disable(logging.ERROR)
    port = free_port()
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:plant")
    for name, kind, values in TYPES:
        node = await server.nodes.objects.add_variable(ua.NodeId(f"Oven.{name}", space), name, values[0], kind)
        await node.set_writable()
    async with server:
        tap = Tap(4840)
        client = Client(f"opc.tcp://127.0.0.1:{tap.tcp(port)}/plant")
        async with client:
            nodes = {name: client.get_node(ua.NodeId(f"Oven.{name}", space)) for name, *_ in TYPES}
            for name, kind, values in TYPES:
                tap.read(f"Oven.{name}", await nodes[name].read_value())
                for value in values[1:]:
                    await nodes[name].write_value(value, kind)
                    tap.wrote(f"Oven.{name}", value)
                    tap.read(f"Oven.{name}", await nodes[name].read_value())
            all_values = await client.read_values(list(nodes.values()))
            for (name, *_), value in zip(TYPES, all_values):
                tap.read(f"Oven.{name}", value)
            changes = Changes(tap, {node.nodeid: f"Oven.{name}" for name, node in nodes.items()})
            subscription = await client.create_subscription(50, changes)
            await subscription.subscribe_data_change([nodes["Double"], nodes["Int32"]])
            for n in range(5):
                await nodes["Double"].write_value(100.5 + n, ua.VariantType.Double)
                tap.wrote("Oven.Double", 100.5 + n)
                await asyncio.sleep(0.15)
            assert changes.count >= 6, f"{changes.count} changes were told"
    tap.save(folder, "opcua")


asyncio.run(main(sys.argv[1]))
