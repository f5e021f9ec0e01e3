"""A client and a server as they come (asyncua), with the gateway's OPC UA proxy between them.

What is checked: browsing, reading and subscriptions pass; allowed writes and calls reach the server, forbidden ones do not and are
refused with Bad_UserAccessDenied, what belongs to no signal with Bad_NodeIdUnknown; what was refused leaves the sequence numbers of
both ends in order; long messages of several chunks pass; an encrypted channel is refused; the server may be lost and come back.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys

from asyncua import Client, Server, ua
from asyncua.common.methods import uamethod
from tap import free_port

PLANT = """
format = 1
name = "oven"
signal = [
  { path = "oven.heater", role = "actuator" },
  { path = "oven.ramp", role = "setpoint" },
]
point = [
  { signal = "oven.heater", protocol = "opcua", tag = "ns=2;s=Oven.Heater", type = "f64", direction = "write" },
  { signal = "oven.ramp", protocol = "opcua", tag = "attr=Input;index=0;ns=2;s=Oven.Ramp", type = "f64", direction = "write" },
]
principal = [{ name = "scada", addresses = ["127.0.0.1"], roles = ["controller"] }]
rule = [
  { name = "up to half", effect = "allow", roles = ["controller"], signals = ["oven.heater", "oven.ramp"], range = [0.0, 50.0] },
]
"""


def configure(folder, server, port):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/plant.toml", "w") as file:
        file.write(PLANT)
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[[opcua]]
name = "oven"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.6:4840"
""")
    return f"{folder}/gateway.toml"


RAMPS = []


@uamethod
def ramp(_parent, value):
    RAMPS.append(value)
    return True


async def oven(port):
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/oven")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:oven")
    nodes = {}
    for name in ("Heater", "Door", "Temperature"):
        nodes[name] = await server.nodes.objects.add_variable(ua.NodeId(f"Oven.{name}", space), name, 1.0, ua.VariantType.Double)
        await nodes[name].set_writable()
    nodes["Text"] = await server.nodes.objects.add_variable(ua.NodeId("Oven.Text", space), "Text", "x" * 200_000)
    for name in ("Ramp", "Clean"):
        await server.nodes.objects.add_method(ua.NodeId(f"Oven.{name}", space), name, ramp, [ua.VariantType.Double], [ua.VariantType.Boolean])
    await server.start()
    return server, nodes, space


class Changes:
    def __init__(self):
        self.told = []

    def datachange_notification(self, _node, value, _data):
        self.told.append(value)


async def refused(awaitable, *codes):
    try:
        await awaitable
    except ua.UaStatusCodeError as error:
        assert error.code in codes, f"{error.code:#x}"
        return
    raise AssertionError("it was not refused")


async def wait(condition, what, seconds=15):
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(what)


async def main(gateway, out):
    logging.disable(logging.ERROR)
    folder = os.path.abspath(f"{out}/gateway_opcua")
    subprocess.run(["rm", "-rf", folder], check=True)
    inner, port = free_port(), free_port()
    server, nodes, space = await oven(inner)
    config = configure(folder, inner, port)
    subprocess.run([gateway, "--config", config, "--check"], check=True)
    process = subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
    codes = ua.StatusCodes
    try:
        for line in process.stdout:
            if line.startswith("enforcing"):
                break
        url = f"opc.tcp://127.0.0.1:{port}/oven"
        async with Client(url) as client:
            node = {name: client.get_node(ua.NodeId(f"Oven.{name}", space)) for name in ("Heater", "Door", "Temperature", "Text", "Ramp", "Clean")}
            children = await client.nodes.objects.get_children()
            assert len(children) >= 6
            changes = Changes()
            subscription = await client.create_subscription(50, changes)
            await subscription.subscribe_data_change(node["Temperature"])
            for n in range(1, 31):
                if n % 3:
                    await node["Heater"].write_value(float(n))
                    assert await nodes["Heater"].read_value() == float(n)
                else:
                    await refused(node["Heater"].write_value(80.0), codes.BadUserAccessDenied)
                await nodes["Temperature"].write_value(100.0 + n)
                assert await node["Heater"].read_value() == float(n if n % 3 else n - 1)
            await refused(node["Door"].write_value(1.0), codes.BadNodeIdUnknown)
            await refused(client.write_values([node["Heater"], node["Door"]], [5.0, 5.0]), codes.BadNodeIdUnknown)
            assert await nodes["Door"].read_value() == 1.0
            await wait(lambda: 130.0 in changes.told, "the subscription tells the last value")
            print("writes: 20 allowed ones pass, 12 are refused, reads and a subscription go on between them")

            assert await client.nodes.objects.call_method(node["Ramp"], 20.0)
            await refused(client.nodes.objects.call_method(node["Ramp"], 80.0), codes.BadUserAccessDenied)
            await refused(client.nodes.objects.call_method(node["Clean"], 1.0), codes.BadNodeIdUnknown)
            assert RAMPS == [20.0], RAMPS
            print("calls: judged by their arguments, unknown methods are refused")
            assert len(await node["Text"].read_value()) == 200_000
            assert await client.nodes.server.get_children()

        # An encrypted channel: here as the gateway sees its opening.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        uri = b"http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"
        inside = bytes(4) + b"".join(len(it).to_bytes(4, "little") + it for it in (uri, b"certificate", b"thumbprint")) + bytes(64)
        writer.write(b"OPNF" + (len(inside) + 8).to_bytes(4, "little") + inside)
        told = await reader.read(100)
        assert told[:4] == b"ERRF" and int.from_bytes(told[8:12], "little") == codes.BadSecurityPolicyRejected, told
        writer.close()
        print("an encrypted channel is refused")

        # The server is lost, and comes back.
        await server.stop()
        try:
            async with Client(url, timeout=2):
                raise AssertionError("nobody is there")
        except (OSError, asyncio.TimeoutError, ua.UaError):
            pass
        server, nodes, space = await oven(inner)
        async with Client(url) as client:
            await client.get_node(ua.NodeId("Oven.Heater", space)).write_value(33.0)
            assert await nodes["Heater"].read_value() == 33.0
        print("server lost: clients are let go, and come back through the gateway")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway with OPC UA: ok")
    finally:
        process.kill()
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
