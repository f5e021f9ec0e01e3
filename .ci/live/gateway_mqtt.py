"""A Sparkplug edge node and its host, as they come, with the gateway's MQTT proxy between host and broker.

The edge node is pysparkplug and speaks to the broker; the host is paho and speaks to the gateway, with payloads that pysparkplug
encodes. What is checked: births and data reach the host; allowed commands reach the node unchanged and once, in their order;
a forbidden one does not, and is told with reason code 0x87 in MQTT 5.0 and acknowledged in 3.1.1; plain topics pass, and those
that the plant file lets somebody write are judged; a last will does not command; the broker may be lost and come back.
MQTT 5.0 needs mosquitto; with amqtt that part is skipped, by name.
"""

import os
import signal
import subprocess
import sys
import time

import paho.mqtt.client as mqtt
import pysparkplug as sp
from broker import Broker
from tap import free_port

PLANT = """
format = 1
name = "tank"
signal = [
  { path = "tank.pump", role = "actuator", range = [0.0, 100.0] },
  { path = "tank.on", role = "actuator" },
  { path = "tank.valve", role = "actuator", range = [0.0, 100.0] },
]
point = [
  { signal = "tank.pump", protocol = "mqtt", tag = "spBv1.0/plant/edge//pump", type = "f64", direction = "write" },
  { signal = "tank.on", protocol = "mqtt", tag = "spBv1.0/plant/edge//on", type = "bit:0", direction = "write" },
  { signal = "tank.valve", protocol = "mqtt", tag = "tank/valve/set", type = "f64", direction = "write" },
]
principal = [{ name = "host", addresses = ["127.0.0.1"], roles = ["controller"] }]
rule = [
  { name = "up to half", effect = "allow", roles = ["controller"], signals = ["tank.pump", "tank.valve"], range = [0.0, 50.0] },
  { name = "on and off", effect = "allow", roles = ["controller"], signals = ["tank.on"] },
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
[[mqtt]]
name = "broker"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.3:1883"
metrics = ["Node Control/Rebirth"]
""")
    return f"{folder}/gateway.toml"


class Host:
    """A paho client with what it was told."""

    def __init__(self, port, version, will=None):
        self.told, self.acknowledged, self.code = [], {}, None
        self.client = mqtt.Client(client_id=f"host{version}", protocol=version)
        self.client.on_message = lambda _, __, message: self.told.append((message.topic, message.payload))
        self.client.on_connect = lambda *words: setattr(self, "code", words[3])
        original = self.client._handle_pubackcomp

        # paho 1.6 does not hand the reason code of PUBACK on: it is read where the packet is.
        def puback(kind):
            packet = bytes(self.client._in_packet["packet"])
            self.acknowledged[int.from_bytes(packet[:2], "big")] = packet[2] if len(packet) > 2 else 0
            return original(kind)

        self.client._handle_pubackcomp = puback
        if will:
            self.client.will_set(will, b"1")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait(lambda: self.code is not None, "CONNACK")

    def publish(self, topic, payload, qos=1):
        """Publishes, waits for the acknowledgement, and gives its reason code."""
        info = self.client.publish(topic, payload, qos=qos)
        info.wait_for_publish(5)
        return self.acknowledged.get(info.mid, 0)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def wait(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def command(**values):
    kinds = {bool: sp.DataType.BOOLEAN, float: sp.DataType.DOUBLE}
    now = sp.get_current_timestamp()
    metrics = [sp.Metric(timestamp=now, name=name.replace("__", " Control/"), datatype=kinds[type(value)], value=value) for name, value in values.items()]
    # pysparkplug as an edge node reads no command whose metrics lack their data types.
    return sp.NCmd(timestamp=now, metrics=metrics).encode(include_dtypes=True)


def main(gateway, out):
    folder = os.path.abspath(f"{out}/gateway_mqtt")
    subprocess.run(["rm", "-rf", folder], check=True)
    broker, port = Broker(), free_port()
    config = configure(folder, broker.port, port)
    subprocess.run([gateway, "--config", config, "--check"], check=True)
    process = subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
    topic = "spBv1.0/plant/NCMD/edge"
    try:
        for line in process.stdout:
            if line.startswith("enforcing"):
                break
        heard = []

        def commanded(_, message):
            heard.append([(metric.name, metric.value) for metric in message.payload.metrics])

        host = Host(port, mqtt.MQTTv311)
        host.client.subscribe("#", qos=1)
        time.sleep(0.3)
        metrics = [
            sp.Metric(timestamp=sp.get_current_timestamp(), name="pump", datatype=sp.DataType.DOUBLE, value=10.0),
            sp.Metric(timestamp=sp.get_current_timestamp(), name="on", datatype=sp.DataType.BOOLEAN, value=True),
        ]
        node = sp.EdgeNode(group_id="plant", edge_node_id="edge", metrics=metrics, cmd_callback=commanded)
        node.connect("127.0.0.1", port=broker.port)
        wait(lambda: any(name.startswith("spBv1.0/plant/NBIRTH") for name, _ in host.told), "the birth reaches the host")
        time.sleep(0.5)

        # 3.1.1: acknowledged, and dropped where forbidden; what passes is once and in its order.
        wanted = [float(n) for n in range(1, 41)]
        for n in wanted:
            assert host.publish(topic, command(pump=n if n % 4 else 90.0), qos=int(n) % 3) == 0
        assert host.publish(topic, command(pump=33.5, on=False)) == 0
        assert host.publish(topic, command(pump=33.5, door=1.0)) == 0
        wait(lambda: [("pump", 33.5), ("on", False)] in heard, "the command with two metrics")
        time.sleep(0.3)
        assert heard == [[("pump", n)] for n in wanted if n % 4] + [[("pump", 33.5), ("on", False)]], heard
        print(f"3.1.1: {len(heard)} allowed commands once and in order, 11 others acknowledged and dropped")

        # Plain topics.
        host.publish("tank/valve/set", "20")
        host.publish("tank/valve/set", "80")
        host.publish("weather", "80")
        wait(lambda: ("weather", b"80") in host.told, "what is no command passes")
        assert [payload for name, payload in host.told if name == "tank/valve/set"] == [b"20"]
        print("plain topics: telemetry passes, a bound one is judged")

        if broker.name == "mosquitto":
            five = Host(port, mqtt.MQTTv5)
            before = len(heard)
            codes = [five.publish(topic, command(pump=value)) for value in (20.0, 80.0, 21.0)]
            assert codes == [0, 0x87, 0], codes
            wait(lambda: len(heard) == before + 2, "two of three")
            # QoS 2: refused in PUBREC, so that PUBREL and PUBCOMP do not follow.
            five.client.publish(topic, command(pump=81.0), qos=2)
            assert five.publish(topic, command(pump=22.0)) == 0
            wait(lambda: len(heard) == before + 3, "the next one")
            five.close()
            will = Host(port, mqtt.MQTTv5, will=topic)
            assert getattr(will.code, "value", will.code) == 0x87, will.code
            will.close()
            print("5.0: forbidden commands are refused with 0x87, so is a last will that commands")
        else:
            print(f"5.0: skipped, {broker.name} does not speak it; see crates/twinguard-gateway/tests/mqtt.rs")
        host.publish(topic, command(Node__Rebirth=True))
        wait(lambda: [("Node Control/Rebirth", True)] in heard, "a metric that the configuration lets pass")

        # The broker is lost, and comes back.
        broker.process.kill()
        broker.process.wait()
        wait(lambda: not host.client.is_connected(), "the host is told")
        broker.start()
        wait(host.client.is_connected, "the host is connected again", 30)
        assert host.publish("weather", "81") == 0
        print("broker killed: the host is let go, and comes back through the gateway")
        host.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway with MQTT: ok")
    finally:
        process.kill()
        broker.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
