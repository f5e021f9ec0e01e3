"""A broker of MQTT that somebody else wrote: mosquitto where it is installed, else amqtt."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from tap import free_port


class Broker:
    """Listens for MQTT over TCP (`port`) and inside WebSockets (`web_port`) until it is closed."""

    def __init__(self):
        self.port, self.web_port = free_port(), free_port()
        self.folder = tempfile.mkdtemp()
        config = os.path.join(self.folder, "broker")
        if mosquitto := shutil.which("mosquitto"):
            self.name = "mosquitto"
            command = [mosquitto, "-c", config]
            text = f"listener {self.port} 127.0.0.1\nlistener {self.web_port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"
        else:
            self.name = "amqtt"
            command = [os.path.join(os.path.dirname(sys.executable), "amqtt"), "-c", config]
            text = (
                "listeners:\n"
                f"  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
                f"  web:\n    type: ws\n    bind: 127.0.0.1:{self.web_port}\n"
                "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
            )
        with open(config, "w") as file:
            file.write(text)
        self.command = command
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=sys.stderr, stderr=sys.stderr)
        for port in (self.port, self.web_port):
            self.await_port(port)

    def await_port(self, port):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not listen on port {port}")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)
