# needs: paho-mqtt==1.6.1 pysparkplug==0.6.1 amqtt==0.11.3
"""pysparkplug and paho through a broker: births, data by alias, and plain topics."""

import sys
import time

import paho.mqtt.client as mqtt
import pysparkplug as sp
from broker import Broker
from tap import Tap


def main(folder):
    broker = Broker()
    tap = Tap(1883)
    try:
        near = tap.tcp(broker.port)
        listener = mqtt.Client(client_id="historian")
        listener.connect("127.0.0.1", near)
        listener.loop_start()
        listener.subscribe("plain/#", qos=1)
        time.sleep(0.3)
        for n in range(5):
            listener.publish("plain/oven/temperature", str(20.5 + n), qos=n % 3).wait_for_publish()
            tap.read("plain/oven/temperature", 20.5 + n)

        def metrics(n):
            kinds = sp.DataType
            values = [
                ("pump/speed", kinds.DOUBLE, 1000.5 + n),
                ("pump/count", kinds.INT64, -5 - n),
                ("pump/on", kinds.BOOLEAN, n % 2 == 0),
            ]
            now = sp.get_current_timestamp()
            return [sp.Metric(timestamp=now, name=name, datatype=kind, value=value) for name, kind, value in values]

        def told(n):
            for metric in metrics(n):
                tap.read(metric.name, int(metric.value) if isinstance(metric.value, bool) else metric.value)

        node = sp.EdgeNode(group_id="plant", edge_node_id="press", metrics=metrics(0))
        node.connect("127.0.0.1", port=near)
        time.sleep(1)
        told(0)
        for n in range(1, 6):
            node.update(metrics(n))
            told(n)
            time.sleep(0.1)
        time.sleep(0.3)
        node.disconnect()
        listener.loop_stop()
        listener.disconnect()
    finally:
        time.sleep(0.3)
        broker.close()
    print(f"broker: {broker.name}")
    tap.save(folder, "mqtt")


main(sys.argv[1])
