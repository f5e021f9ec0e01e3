"""Records what passes between a client and a server, and keeps what the client knows it read and wrote.

A tap is a proxy on loopback. What passes is written as an Ethernet capture with right sequence numbers and checksums,
with the server on its protocol's own port.
"""

import json
import socket
import struct
import threading
import time

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
MACS = [b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tap:
    """One recording: frames, and the values that `dissect --points` has to tell."""

    def __init__(self, port):
        self.port = port  # the protocol's own, as recorded
        self.frames = []
        self.expected = []
        self.lock = threading.Lock()
        self.clients = 0

    # --- what was exchanged
    def read(self, where, value):
        self.expected.append(("read", where, value))

    def wrote(self, where, value):
        self.expected.append(("write", where, value))

    # --- the capture
    def frame(self, from_client, protocol, segment, at):
        source, target = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
        addresses = socket.inet_aton(source) + socket.inet_aton(target)
        pseudo = addresses + struct.pack(">BBH", 0, protocol, len(segment))
        place = 16 if protocol == 6 else 6
        segment = segment[:place] + struct.pack(">H", checksum(pseudo + segment)) + segment[place + 2 :]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), len(self.frames) & 0xFFFF, 0x4000, 64, protocol, 0)
        ip = ip[:10] + struct.pack(">H", checksum(ip + addresses)) + addresses
        ethernet = b"".join(MACS if from_client else MACS[::-1]) + b"\x08\x00"
        self.frames.append((at, ethernet + ip + segment))

    def datagram(self, from_client, payload):
        with self.lock:
            header = struct.pack(">HHHH", self.port, self.port, 8 + len(payload), 0)
            self.frame(from_client, 17, header + payload, time.time_ns())

    def save(self, folder, name):
        out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
        for at, frame in self.frames:
            out += struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), len(frame)) + frame
        with open(f"{folder}/{name}.pcap", "wb") as file:
            file.write(out)
        with open(f"{folder}/{name}.json", "w") as file:
            json.dump(self.expected, file)
        print(f"{name}: recorded {len(self.frames)} frames, {len(self.expected)} values")

    # --- the proxy
    def tcp(self, server_port):
        """The port on which clients find the server through this tap."""
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, args=(listener, server_port), daemon=True).start()
        return listener.getsockname()[1]

    def accept(self, listener, server_port):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", server_port))
            self.clients += 1
            stream = Stream(self, 40000 + self.clients)
            for arguments in ((near, far, True), (far, near, False)):
                threading.Thread(target=stream.pump, args=arguments, daemon=True).start()


class Stream:
    """One TCP connection."""

    def __init__(self, tap, client_port):
        self.tap, self.client_port = tap, client_port
        self.next = {True: 1000, False: 9000}
        self.segment(True, b"", 0x02)
        self.segment(False, b"", 0x12)
        self.segment(True, b"", 0x10)

    def segment(self, from_client, payload, flags=0x18):
        with self.tap.lock:
            ports = (self.client_port, self.tap.port) if from_client else (self.tap.port, self.client_port)
            for start in range(0, max(len(payload), 1), 1400):
                part = payload[start : start + 1400]
                ack = self.next[not from_client] if flags & 0x10 else 0
                tcp = struct.pack(">HHIIBBHHH", *ports, self.next[from_client], ack, 0x50, flags, 65535, 0, 0)
                self.tap.frame(from_client, 6, tcp + part, time.time_ns())
                self.next[from_client] += len(part) + bool(flags & 0x02)

    def pump(self, source, target, from_client):
        try:
            while data := source.recv(65536):
                self.segment(from_client, data)
                target.sendall(data)
        except OSError:
            pass
        finally:
            target.close()
