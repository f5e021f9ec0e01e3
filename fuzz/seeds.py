#!/usr/bin/env python3
"""Writes the seeds of the corpus that are plain bytes: captures, Modbus messages. Same output every time.

Usage: fuzz/seeds.py (from anywhere). Seeds in our own formats are written by `cargo test` helpers of their crates.
"""

import base64
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
    for name, stream in GATEWAY.items():
        write("gateway", name, stream)
    for name, data in ONE_WAY.items():
        write("one_way", name, data)
    for name, data in NOISE.items():
        write("noise", name, data)

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

    # The same without their headers, for serial lines; the target gives them their checksums.
    line = [(0 if from_client else 1, message[6:]) for from_client, message in messages() if len(message) < 66]
    write("modbus_rtu", "all", b"".join(bytes([end << 6 | len(part)]) + part for end, part in line))

    for name, (from_server, parts) in DNP3.items():
        write("dnp3", name, bytes([from_server]) + b"".join(parts))
    for name, datagrams in ETHERCAT.items():
        for counter in (0, 1):
            write("ethercat", f"{name}-{counter}", b"\x3f" + ethercat([(*datagram, counter) for datagram in datagrams]))

    # Messages behind a byte that says who sends and how long they are, see `messages::family`.
    for target, seeds in FAMILIES.items():
        for name, parts in seeds.items():
            write(target, name, b"".join(told(server, message) for server, message in parts))


# --- DNP3: user data, a transport byte and a fragment; several frames of 250 bytes where it is long --------------------
TIME = bytes([0xE8, 3, 0, 0, 0, 0])
CROB = bytes([3, 1, 100, 0, 0, 0, 100, 0, 0, 0, 0])
RESPONSE = bytes([0xC0, 0xC1, 0x81, 0, 0])
DNP3 = {
    "poll": (0, [bytes([0xC0, 0xC1, 1, 60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6])]),
    "static": (
        1,
        [RESPONSE, bytes([1, 1, 0, 0, 9, 0x55, 2, 1, 2, 0, 3, 5, 0x81, 1, 0, 3, 1, 0, 0, 4, 0x1B, 1])]
        + [bytes([10, 2, 1, 0, 0, 1, 0, 1, 0x81, 20, 1, 0, 0, 0, 1, 7, 0, 0, 0, 30, 5, 0, 0, 0, 1, 0, 0, 0x80, 0x3F])]
        + [bytes([40, 2, 0x17, 1, 9, 1, 0xFF, 0xFF, 110, 2, 0, 0, 0, 65, 66, 0, 252, 0, 0, 0, 1, 2, 65, 66])],
    ),
    "events": (
        1,
        [bytes([0xC0, 0xF1, 0x82, 0x82, 0, 51, 1, 7, 1]), TIME, bytes([2, 3, 0x28, 2, 0, 1, 0, 0x81, 5, 0, 2, 0, 1, 9, 0])]
        + [bytes([32, 7, 0x17, 1, 4, 1, 0, 0, 0, 0]), TIME, bytes([13, 2, 0x17, 1, 3, 0x80]), TIME],
    ),
    "select": (0, [bytes([0xC0, 0xC2, 3, 12, 1, 0x28, 1, 0, 5, 0]), CROB, bytes([41, 2, 0x17, 1, 1, 10, 0, 0])]),
    "echo": (1, [RESPONSE, bytes([12, 1, 0x28, 1, 0, 5, 0]), CROB[:-1], b"\x04"]),
    "time": (0, [bytes([0xC0, 0xC3, 2, 50, 1, 7, 1]), TIME, bytes([80, 1, 0, 7, 7, 0])]),
    "freeze": (0, [bytes([0xC0, 0xC3, 11, 50, 2, 7, 1]), TIME, bytes([1, 0, 0, 0, 20, 0, 6])]),
    "file": (0, [bytes([0xC0, 0xC4, 25, 70, 3, 0x5B, 1, 27, 0, 26, 0, 1, 0]), bytes(16), bytes([1, 0, 0, 4, 1, 0]), b"a"]),
    "authentication": (0, [bytes([0xC0, 0xC5, 5, 120, 3, 7, 1, 1, 0, 0, 0, 1, 0, 120, 9, 0x5B, 1, 4, 0, 1, 2, 3, 4])]),
    "segments": (1, [b"\x40", RESPONSE[1:], bytes([30, 1, 1, 0, 0, 59, 0]), bytes(238), b"\x81", bytes(62)]),
    "hostile": (1, [RESPONSE, bytes([30, 1, 9, 255, 255, 255, 255, 1, 2])]),
}

# --- families by themselves ----------------------------------------------------------------------------------------------
def told(server, message):
    if len(message) < 0x3F:
        return bytes([server << 6 | len(message)]) + message
    return bytes([server << 6 | 0x3F]) + message


def enip(command, data, session=7):
    return struct.pack("<HHIIQI", command, len(data), session, 0, 1, 0) + data


def cip(message, connected=None):
    if connected is None:
        return enip(0x6F, bytes(6) + struct.pack("<HHHHH", 2, 0, 0, 0xB2, len(message)) + message)
    items = struct.pack("<HHHIHHH", 2, 0xA1, 4, connected, 0xB1, len(message) + 2, 9)
    return enip(0x70, bytes(6) + items + message)


def c37(code, data):
    frame = struct.pack(">BBHHII", 0xAA, code << 4 | 1, len(data) + 16, 7734, 1149577200, 16817) + data
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return frame + struct.pack(">H", crc)


def hart(kind, delimiter, command, data):
    frame = bytes([delimiter, 0x80, command, len(data)]) + data
    check = 0
    for byte in frame:
        check ^= byte
    return struct.pack(">BBBBHH", 1, kind, 3, 0, 7, len(frame) + 9) + frame + bytes([check])


RATE = bytes([0x91, 4]) + b"rate"
READ = bytes([0x4C, 3]) + RATE + bytes([1, 0])
PACKET = bytes([0x0A, 2, 0x20, 2, 0x24, 1, 2, 0, 6, 0, 16, 0]) + READ + READ
OPEN = bytes([10, 5]) + bytes(4) + struct.pack("<IHHI", 0x22, 9, 8, 7) + bytes(16) + bytes([1, 4])
OPEN += bytes([0x20, 4, 0x24, 100, 0x2C, 101, 0x2C, 102])
UNIT = b"Station A       " + struct.pack(">HHHHH", 7734, 1, 1, 1, 1) + b"Name            " * 18
UNIT += struct.pack(">IIIHH", 915527, 1, 0xFFFF, 1, 22)
FAMILIES = {
    "enip": {
        "session": [(0, enip(0x65, bytes([1, 0, 0, 0]), 0)), (1, enip(0x65, bytes([1, 0, 0, 0]))), (0, enip(0x66, b""))],
        "read": [(0, cip(READ)), (1, cip(bytes([0xCC, 0, 0, 0, 0xC3, 0, 1, 0, 2, 0])))],
        "write": [(0, cip(bytes([0x4D, 3]) + RATE + bytes([0xC4, 0, 1, 0, 7, 0, 0, 0]), 5))],
        "nested": [(0, cip(bytes([0x4C, 6, 0x91, 1, 0x6D, 0, 0x28, 2, 0x28, 3, 0x91, 1, 0x78, 0, 1, 0])))],
        "list": [(0, cip(bytes([3, 2, 0x20, 1, 0x24, 1, 2, 0, 5, 0, 6, 0])))],
        "vendor": [(0, cip(bytes([0x4C, 2, 0x20, 0x72, 0x24, 0, 0, 0xCE])))],
        "packet": [(0, cip(PACKET, 5))],
        "routed": [(0, cip(bytes([0x52, 2, 0x20, 6, 0x24, 1, 7, 0xE9, len(PACKET), 0]) + PACKET + bytes([1, 0, 1, 0])))],
        "open": [(0, cip(bytes([0x54, 2, 0x20, 6, 0x24, 1]) + OPEN))],
        "cyclic": [(2, struct.pack("<HHHIIHH", 2, 0x8002, 8, 0x11, 1, 0xB1, 6) + bytes([1, 0, 1, 2, 3, 4]))],
        "identity": [(0, enip(0x63, b"", 0))],
    },
    "synphasor": {
        "command": [(0, c37(4, bytes([0, 2])))],
        "header": [(1, c37(1, b"a station"))],
        "data": [(1, c37(0, bytes(14)))],
        "configuration": [(1, c37(3, struct.pack(">IH", 1000000, 1) + UNIT + struct.pack(">H", 30)))],
    },
    "hart_ip": {
        "session": [(0, bytes([1, 0, 0, 0, 0, 1, 0, 13, 1, 0, 0, 3, 0xE8])), (0, bytes([1, 0, 2, 0, 0, 2, 0, 8]))],
        "dynamic": [(0, hart(0, 2, 3, b"")), (1, hart(1, 6, 3, bytes([0, 0]) + struct.pack(">fBfBf", 4, 39, 1, 57, 2)))],
        "slots": [(1, hart(2, 1, 9, bytes([0, 0, 0, 246, 0, 39]) + struct.pack(">fBI", 1.5, 0xC0, 32000)))],
        "direct": [(0, bytes([1, 0, 4, 0, 0, 3, 0, 16, 0, 0, 0, 1, 0, 0, 3, 0]))],
        "write": [(0, hart(0, 2, 40, struct.pack(">f", 12)))],
    },
}


# --- EtherCAT: frames of datagrams (command, address, data), on their way out and back --------------------------------
def ethercat(datagrams):
    frame = b""
    for number, (command, address, data, counter) in enumerate(datagrams):
        more = 0x8000 if number + 1 < len(datagrams) else 0
        frame += struct.pack("<BBIHH", command, number, address, len(data) | more, 0) + data + struct.pack("<H", counter)
    return struct.pack("<H", 0x1000 | len(frame)) + frame


ETHERCAT = {
    "state": [(5, 0x0120_03E9, b"\x08\0"), (4, 0x0130_03E9, bytes(2)), (7, 0x0130_0000, bytes(2))],
    "process": [(12, 0x10000, bytes(range(24))), (11, 0x20000, b"out"), (10, 0x30000, b"inputs")],
    "write": [(5, 0x1000_03E9, bytes([10, 0, 0, 0, 0, 0x13, 0, 0x20, 0x2B, 0x40, 0x60, 0, 15, 0, 0, 0]))],
    "told": [(4, 0x1080_03E9, bytes([14, 0, 0, 0, 0, 0x23, 0, 0x30, 0x41, 8, 16, 0, 4, 0, 0, 0]) + b"name")],
    "file": [(2, 0x1000_FFFF, bytes([10, 0, 0, 0, 0, 0x14, 2, 0, 0, 0, 0, 0]) + b"f.ew")],
}


# --- the gateway's readers: the protocol by the first byte, then a client's stream -------------------------------------
def apdu(send, receive, asdu):
    return bytes([0x68, len(asdu) + 4]) + struct.pack("<HH", send << 1, receive << 1) + asdu


def chunk(kind, number, body):
    return b"MSG" + kind + struct.pack("<IIIII", 24 + len(body), 9, 1, number, 7) + body


def ask(service, rest):
    return bytes([1, 0]) + struct.pack("<H", service) + bytes(10) + struct.pack("<II", 5, 0) + b"\xff" * 4 + bytes(7) + rest


HEATER = b"\x03\x02\0" + struct.pack("<I", 6) + b"Heater" + struct.pack("<I", 13) + b"\xff" * 4 + b"\x01\x0b" + struct.pack("<d", 20)
HEAT = ask(673, struct.pack("<I", 1) + HEATER)
START = ask(712, struct.pack("<I", 1) + bytes([1, 2, 1, 0, 1, 2, 7, 0]) + b"\xff" * 4)
RAMP = ask(712, struct.pack("<I", 1) + bytes([1, 2, 1, 0, 1, 2, 8, 0]) + struct.pack("<I", 1) + b"\x0b" + struct.pack("<d", 5))
SET = bytes([50, 1, 6, 0, 1, 0, 200, 0, 0]) + struct.pack("<f", 20) + b"\0"
GATEWAY = {
    "modbus": b"\0" + adu(1, 1, bytes([6, 0, 0, 0, 5])) + adu(2, 1, bytes([16, 0, 2, 0, 2, 4, 0x41, 0x48, 0, 0])) + adu(3, 1, bytes([5, 0, 0, 0xFF, 0])),
    "mqtt": b"\x01tank/set\x0020.5",
    "sparkplug": b"\x01spBv1.0/g/DCMD/n/d\0" + bytes([0x12, 15, 0x0A, 4]) + b"pump" + b"\x69" + struct.pack("<d", 20),
    "iec104": b"\x02" + b"".join(apdu(n, 0, it) for n, it in enumerate([bytes([45, 1, 6, 0, 1, 0, 100, 0, 0, 1]), bytes([46, 1, 6, 0, 1, 0, 101, 0, 0, 0x82]), SET])),
    "iec104_asks": b"\x02\x68\x04\x07\0\0\0" + apdu(0, 0, bytes([100, 1, 6, 0, 1, 0, 0, 0, 0, 20])) + bytes([0x68, 4, 1, 0, 2, 0]),
    "opcua": b"\x03" + chunk(b"F", 1, HEAT) + chunk(b"F", 2, START) + chunk(b"F", 3, RAMP),
    "opcua_chunks": b"\x03" + chunk(b"C", 1, HEAT[:40]) + chunk(b"F", 2, HEAT[40:]),
}

# --- one-way lines: a datagram's header, a block, what a receiver keeps -------------------------------------------------
def one_way(place, data, parity, stream, numbers, sealed):
    return b"TGOW" + bytes([1, place, data, parity]) + stream + struct.pack(">qQQ", *numbers) + sealed


LEVEL = b'[{"signal":"tank.level","value":1.5,"at_s":1700000000.25}]'
ONE_WAY = {
    "datagram": one_way(9, 8, 3, bytes(range(16)), (1_700_000_000_000_000_000, 20, 1), bytes(80)),
    "parity_alone": one_way(64, 1, 64, bytes(16), (-1, 2**64 - 1, 2**64 - 2), bytes(18)),
    "block": struct.pack(">I", len(LEVEL)) + LEVEL + struct.pack(">I", 2) + b"[]" + bytes(7),
    "state": b"twinguard one-way 1 000102030405060708090a0b0c0d0e0f 1700000000000000000 17\n",
}

# --- Noise: messages behind their lengths, keys as text ------------------------------------------------------------------
KEY = bytes(range(32))
NOISE = {
    "messages": b"".join(struct.pack(">H", len(part)) + part for part in (bytes(96), bytes(48), b"", bytes(40))),
    "half": struct.pack(">H", 65535) + bytes(7),
    "hex": KEY.hex().encode() + b"\n",
    "base64": base64.b64encode(KEY),
}


if __name__ == "__main__":
    main()
