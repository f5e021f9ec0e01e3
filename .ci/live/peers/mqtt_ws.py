# needs: paho-mqtt==1.6.1 amqtt==0.11.3
"""paho inside WebSockets through a broker: publications of every quality of service, short and long."""

import sys
import time

import paho.mqtt.client as mqtt
from broker import Broker
from tap import Tap


def main(folder):
    broker = Broker()
    tap = Tap(9001)
    try:
        near = tap.tcp(broker.web_port)
        clients = []
        for name in ("writer", "reader"):
            client = mqtt.Client(client_id=name, transport="websockets")
            client.ws_set_options(path="/mqtt")
            client.connect("127.0.0.1", near)
            client.loop_start()
            clients.append(client)
        writer, reader = clients
        reader.subscribe("web/#", qos=2)
        time.sleep(0.5)
        for n in range(12):
            writer.publish("web/oven/temperature", str(20.5 + n), qos=n % 3).wait_for_publish(5)
            tap.read("web/oven/temperature", 20.5 + n)
        for size in (100, 300, 5000):
            text = "x" * size
            writer.publish(f"web/text/{size}", text, qos=1).wait_for_publish(5)
            # Long texts are told as their bytes alone.
            tap.read(f"web/text/{size}", text if size < 5000 else f"raw:{text.encode().hex()}")
        time.sleep(0.5)
        for client in clients:
            client.disconnect()
            client.loop_stop()
    finally:
        time.sleep(0.3)
        broker.close()
    print(f"broker: {broker.name}")
    tap.save(folder, "mqtt_ws")


main(sys.argv[1])
