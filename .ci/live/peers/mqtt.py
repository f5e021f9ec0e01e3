# needs: paho-mqtt==1.6.1 pysparkplug==0.6.1
"""pysparkplug and paho through a mosquitto broker: births, data by alias, and plain topics."""

import shutil
import subprocess
import sys
import time

from tap import Tap, free_port


def main(folder):
    if not shutil.which("mosquitto"):
        print("mosquitto is not installed", file=sys.stderr)
        sys.exit(77)
    import paho.mqtt.client as mqtt
    import pysparkplug as sp

    port = free_port()
    broker = subprocess.Popen(["mosquitto", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tap = Tap(1883)
    try:
        time.sleep(1)
        near = tap.tcp(port)
        listener = mqtt.Client(client_id="historian")
        listener.connect("127.0.0.1", near)
        listener.subscribe("plain/#", qos=1)
        listener.loop_start()
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
        broker.terminate()
    tap.save(folder, "mqtt")


main(sys.argv[1])
