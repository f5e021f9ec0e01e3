#!/usr/bin/env python3
"""Writes the seeds of the corpus that are plain bytes: captures, Modbus messages. Same output every time.

Usage: fuzz/seeds.py (from anywhere). Seeds in our own formats are written by `cargo test` helpers of their crates.
"""

import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as file:
        file.write(data)


# --- messages ----------------------------------------------------------------------------------------------------
def adu(transaction, unit, pdu):
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


EXCHANGES = [
    # request, response: one of each public function code, some exceptions, some nonsense
    (bytes([1, 0, 0, 0, 10]), bytes([1, 2, 0x55, 0x01])),
    (bytes([2, 0, 0, 0, 3]), bytes([2, 1, 0x05])),
    (bytes([3, 0, 0, 0, 2]), bytes([3, 4, 0x41, 0x48, 0xF5, 0xC3])),
    (bytes([4, 0, 8, 0, 1]), bytes([4, 2, 0x00, 0x0A])),
    (bytes([5, 0, 1, 0xFF, 0]), bytes([5, 0, 1, 0xFF, 0])),
    (bytes([6, 0, 1, 0, 3]), bytes([6, 0, 1, 0, 3])),
    (bytes([7]), bytes([7, 0x6D])),
    (bytes([8, 0, 0, 0xA5, 0x37]), bytes([8, 0, 0, 0xA5, 0x37])),
    (bytes([11]), bytes([11, 0xFF, 0xFF, 0x01, 0x08])),
    (bytes([12]), bytes([12, 8, 0, 0, 1, 8, 1, 0x21, 0x20, 0])),
    (bytes([15, 0, 0x13, 0, 10, 2, 0xCD, 1]), bytes([15, 0, 0x13, 0, 10])),
    (bytes([16, 0, 1, 0, 2, 4, 0, 10, 1, 2]), bytes([16, 0, 1, 0, 2])),
    (bytes([17]), bytes([17, 3, 0x2A, 0xFF, 0x01])),
    (
        bytes([20, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2]),
        bytes([20, 12, 5, 6, 0x0D, 0xFE, 0, 0x20, 5, 6, 0x33, 0xCD, 0, 0x40]),
    ),
    (bytes([21, 13, 6, 0, 4, 0, 7, 0, 3, 6, 0xAF, 4, 0xBE, 0x10, 0x0D]),) * 2,
    (bytes([22, 0, 4, 0, 0xF2, 0, 0x25]),) * 2,
    (bytes([23, 0, 3, 0, 2, 0, 14, 0, 1, 2, 0, 0xFF]), bytes([23, 4, 0, 0xFE, 0x0A, 0xCD])),
    (bytes([24, 4, 0xDE]), bytes([24, 0, 6, 0, 2, 1, 0xB8, 0x12, 0x84])),
    (bytes([43, 14, 1, 0]), bytes([43, 14, 1, 1, 0, 0, 1, 0]) + bytes([4]) + b"twin"),
    (bytes([3, 0xFF, 0xFF, 0, 2]), bytes([0x83, 2])),
    (bytes([65, 1, 2, 3]), bytes([65, 9])),
    (bytes([3, 0, 0, 0xFF, 0xFF]), bytes([3, 3, 1, 2, 3])),
    (bytes([0]), bytes([0x80])),
]


def messages():
    for number, (request, response) in enumerate(EXCHANGES):
        yield True, adu(number, 1 + number % 3, request)
        yield False, adu(number, 1 + number % 3, response)


# --- frames ------------------------------------------------------------------------------------------------------
def ipv4(payload, source, target, protocol=6, ident=0, fragment=0x4000):
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0) + source + target + payload
    )


def ipv6(payload, source, target, following=6, extension=b""):
    return struct.pack(">IHBB", 0x60000000, len(extension + payload), following, 64) + source + target + extension + payload


def ethernet(payload, kind=0x0800, tags=()):
    head = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
    for tpid, vlan in tags:
        head += struct.pack(">HH", tpid, vlan)
    return head + struct.pack(">H", kind) + payload


class Tcp:
    """Two directions with right sequence numbers."""

    def __init__(self):
        self.next = {True: 100, False: 0xFFFFFF00}  # the answer's numbers wrap

    def segment(self, from_client, payload, flags=0x18):
        ports = (40000, 502) if from_client else (502, 40000)
        data = struct.pack(
            ">HHIIBBHHH", *ports, self.next[from_client], self.next[not from_client], 0x50, flags, 8192, 0, 0
        )
        self.next[from_client] = (self.next[from_client] + len(payload) + bool(flags & 3)) & 0xFFFFFFFF
        return data + payload


A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = b"\xfd" + bytes(14) + b"\x01", b"\xfd" + bytes(14) + b"\x02"


def session(wrap, handshake=True):
    tcp = Tcp()
    if handshake:
        for from_client, flags in ((True, 2), (False, 0x12), (True, 0x10)):
            yield wrap(tcp.segment(from_client, b"", flags), from_client)
    for from_client, message in messages():
        yield wrap(tcp.segment(from_client, message), from_client)
    yield wrap(tcp.segment(True, b"", 0x11), True)


def over_ipv4(tags=()):
    return lambda data, c: ethernet(ipv4(data, *((A4, B4) if c else (B4, A4))), tags=tags)


def over_ipv6(data, c):
    hop_by_hop = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    return ethernet(ipv6(data, *((A6, B6) if c else (B6, A6)), following=0, extension=hop_by_hop), kind=0x86DD)


# --- texts -------------------------------------------------------------------------------------------------------
PLANTS = {
    "tank.toml": """format = 1
name = "tank"
[[signal]]
path = "tank.level"
unit = "m"
range = [0, 4]
sigma = 0.01
[[signal]]
path = "tank.inflow"
role = "actuator"
[[point]]
signal = "tank.level"
protocol = "modbus"
endpoint = "10.0.0.2:502"
tag = "u1/ir/0"
type = "f32"
order = "CDAB"
[[limit]]
signal = "tank.level"
max = 3.5
kind = "never_exceed"
horizon_s = 60
[safe_state]
"tank.inflow" = 0.0
[detection]
false_alarms_per_day = 0.1
""",
    "tank.json": '{"format":1,"name":"tank","signal":[{"path":"tank.level","unit":"m","range":[0,4]}]}',
    "misspelt.toml": 'format = 1\nname = "x"\n[[signal]]\npath = "a"\nsgima = 0.1\n',
    "deep.json": '{"format":1,"name":' + "[" * 200 + "]" * 200 + "}",
}

TELEMETRY = {
    "semicolon.csv": "datetime;level;flow\n2020-03-09 10:14:33;1.5;\n2020-03-09 10:14:34;1.6;32.0\n",
    "comma.csv": "time,a,b\n2024-01-01T00:00:00Z,1,2\n2024-01-01T00:00:01Z,nan,-3e5\n",
    "batadal.csv": "DATETIME,L_T1,S_PU1\n04/07/16 00,2.44,1\n04/07/16 01,2.66,0\n",
    "tab.csv": "timestamp\tx\n0\t1\n1\t2\n",
    "no-time.csv": "x,y\n1,2\n3,4\n",
    "quoted.csv": 'time,"a ""b"", c"\n0,"1.5"\n1,"1,5"\n',
    "odd.csv": "time,a,a,\n0,1\n\n1,2,3,4,5\n\xff\xfe,\n",
}


# --- files -------------------------------------------------------------------------------------------------------
def pcap(frames, link=1, order="<", nano=False):
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames):
        out += struct.pack(order + "IIII", 1_000_000 + number // 10, number % 10 * 1000, len(frame), len(frame)) + frame
    return out


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(frames, order="<"):
    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    comment = struct.pack(order + "HH", 1, 5) + b"hello" + bytes(3) + struct.pack(order + "HH", 0, 0)
    resolution = struct.pack(order + "HHBxxx", 9, 1, 9) + struct.pack(order + "HH", 0, 0)
    out = section + block(1, struct.pack(order + "HHI", 1, 0, 65535) + resolution, order)
    out += block(1, struct.pack(order + "HHI", 101, 0, 0), order) + block(5, bytes(12), order)
    for number, frame in enumerate(frames):
        head = struct.pack(order + "IIIII", 0, 0, 1000 * number, len(frame), len(frame))
        out += block(6, head + frame + bytes(-len(frame) % 4) + (comment if number % 5 == 0 else b""), order)
    return out + section + block(0x0BAD, b"custom", order)


def main():
    plain = list(session(over_ipv4()))
    write("capture", "modbus-le-us.pcap", pcap(plain))
    write("capture", "modbus-be-ns.pcap", pcap(plain[:9], order=">", nano=True))
    write("capture", "modbus-midstream.pcap", pcap(list(session(over_ipv4(), handshake=False))[5:21]))
    write("capture", "modbus-qinq.pcap", pcap(list(session(over_ipv4([(0x88A8, 5), (0x8100, 7)])))[:13]))
    write("capture", "modbus-ipv6.pcap", pcap(list(session(over_ipv6))[:13]))
    write("capture", "modbus-raw-ip.pcap", pcap([frame[14:] for frame in plain[:13]], link=101))
    write("capture", "modbus-loopback.pcap", pcap([b"\x02\0\0\0" + frame[14:] for frame in plain[:13]], link=0))
    sll = b"\0\0\0\x01\0\x06\x02\0\0\0\0\x01\0\0\x08\0"
    write("capture", "modbus-sll.pcap", pcap([sll + frame[14:] for frame in plain[:13]], link=113))
    sll2 = b"\x08\0\0\0\0\0\0\x01\0\x01\0\x06\x02\0\0\0\0\x01\0\0"
    write("capture", "modbus-sll2.pcap", pcap([sll2 + frame[14:] for frame in plain[:13]], link=276))
    write("capture", "modbus-le.pcapng", pcapng(plain[:17]))
    write("capture", "modbus-be.pcapng", pcapng(plain[:9], order=">"))

    # Retransmitted, overlapping with other content, out of order, lost.
    again = plain[:9] + [plain[5]] + [plain[7][:-2] + b"\xff\xff"] + [plain[11], plain[10]] + plain[15:20]
    write("capture", "modbus-disorder.pcap", pcap(again))
    # One message in two IPv4 fragments, then overlapping fragments.
    data = Tcp().segment(True, adu(1, 1, bytes([16, 0, 1, 0, 8, 16]) + bytes(range(16))))
    parts = [ipv4(data[:24], A4, B4, ident=9, fragment=0x2000), ipv4(data[24:], A4, B4, ident=9, fragment=3)]
    parts += [ipv4(data[:32], A4, B4, ident=10, fragment=0x2000), ipv4(data[24:], A4, B4, ident=10, fragment=3)]
    write("capture", "fragments.pcap", pcap([ethernet(part) for part in parts]))
    udp = struct.pack(">HHHH", 40000, 502, 8 + 12, 0) + adu(1, 1, bytes([3, 0, 0, 0, 2]))
    write("capture", "modbus-udp.pcap", pcap([ethernet(ipv4(udp, A4, B4, protocol=17))]))

    # Frames of every link, each after its link type and length; segments of one connection, each after 7 bytes.
    links = {"ethernet": (1, plain[4]), "qinq": (1, list(session(over_ipv4([(0x88A8, 5), (0x8100, 7)])))[4])}
    links |= {"ipv6": (1, list(session(over_ipv6))[4]), "raw-ip": (101, plain[4][14:]), "sll": (113, sll + plain[4][14:])}
    links |= {"loopback": (0, b"\x02\0\0\0" + plain[4][14:]), "sll2": (276, sll2 + plain[4][14:])}
    packed = {name: struct.pack(">HB", kind, len(frame)) + frame for name, (kind, frame) in links.items()}
    packed["fragments"] = b"".join(struct.pack(">HB", 228, len(part)) + part for part in parts)
    for name, frames in packed.items():
        write("link", name, frames)

    def segment(server, flags, sequence, acknowledgement, payload=b"", cut=0, time=2):
        return struct.pack(">BBHHB", server << 7 | cut << 6 | len(payload), flags, sequence, acknowledgement, time) + payload

    opened = segment(0, 2, 29998, 0) + segment(1, 18, 99, 29999) + segment(0, 16, 29999, 100)
    write("tcp", "in-order", opened + segment(0, 24, 29999, 100, b"ask") + segment(1, 24, 100, 30002, b"answer"))
    write("tcp", "disorder", opened + segment(0, 24, 30002, 100, b"def") + segment(0, 24, 29999, 100, b"abcX"))
    write("tcp", "gap", opened + segment(0, 24, 30009, 100, b"xyz") + segment(1, 24, 100, 30012, b"ok", time=255))
    write("tcp", "cut", opened + segment(0, 24, 29999, 100, b"ab", cut=1) + segment(0, 24, 30065, 100, b"cd"))
    write("tcp", "reuse", opened + segment(0, 2, 40000, 0) + segment(1, 18, 7, 40001) + segment(0, 24, 40001, 8, b"new"))
    write("tcp", "strays", opened + b"".join(segment(0, 0x98, 1 + at, 100, b"") + segment(0, 0x98, at, 0, b"s") for at in range(4)))

    # Plant files: the shipped ones, and one small file for each form of dynamics.
    plants = os.path.join(HERE, "../../crates/twinguard-twin/plants")
    for name in sorted(os.listdir(plants)):
        with open(os.path.join(plants, name), "rb") as file:
            write("plant", name, file.read())
    for name, text in PLANTS.items():
        write("plant", name, text.encode())
    for name, text in TELEMETRY.items():
        write("telemetry", name, text.encode("latin-1"))

    # Messages alone, a byte before each that says who speaks.
    write("modbus", "all", b"".join(bytes([from_client]) + message for from_client, message in messages()))
    for number, (from_client, message) in enumerate(messages()):
        if number % 4 < 2:
            write("modbus", f"{number:02}", bytes([from_client]) + message)


if __name__ == "__main__":
    main()
