"""Records a pymodbus session through a TCP proxy, and compares what `dissect` says of the recording.

record DIR   writes session.pcap and expected.json
compare DIR  reads session.jsonl and expected.json; exit 1 with the differences

Every value expected is what the client asked for or was handed by pymodbus, never what our decoder says.
"""

import asyncio
import json
import logging
import socket
import struct
import sys
import threading
import time

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
CLIENT_PORT, SERVER_PORT = 40000, 502


# --- the recording -----------------------------------------------------------------------------------------------
class Recorder:
    """Turns what passes a TCP proxy into an Ethernet capture with right sequence numbers and checksums."""

    def __init__(self):
        self.frames = []
        self.lock = threading.Lock()
        self.next = {True: 1000, False: 9000}
        self.segment(True, b"", 0x02)
        self.segment(False, b"", 0x12)
        self.segment(True, b"", 0x10)

    def segment(self, from_client, payload, flags=0x18):
        with self.lock:
            source, target = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
            ports = (CLIENT_PORT, SERVER_PORT) if from_client else (SERVER_PORT, CLIENT_PORT)
            ack = self.next[not from_client] if flags & 0x10 else 0
            tcp = struct.pack(">HHIIBBHHH", *ports, self.next[from_client], ack, 0x50, flags, 65535, 0, 0)
            addresses = socket.inet_aton(source) + socket.inet_aton(target)
            pseudo = addresses + struct.pack(">BBH", 0, 6, len(tcp) + len(payload))
            tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp + payload)) + tcp[18:]
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), len(self.frames), 0x4000, 64, 6, 0)
            ip = ip[:10] + struct.pack(">H", checksum(ip + addresses)) + addresses
            macs = [b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"]
            ethernet = b"".join(macs if from_client else macs[::-1]) + b"\x08\x00"
            self.frames.append((time.time_ns(), ethernet + ip + tcp + payload))
            self.next[from_client] += len(payload) + bool(flags & 0x02)

    def pcap(self):
        out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
        for at, frame in self.frames:
            out += struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), len(frame)) + frame
        return out


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def proxy(listener, port, recorder):
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", port))

    def pump(source, target, from_client):
        while data := source.recv(65536):
            recorder.segment(from_client, data)
            target.sendall(data)

    for arguments in ((near, far, True), (far, near, False)):
        threading.Thread(target=pump, args=arguments, daemon=True).start()


# --- the session -------------------------------------------------------------------------------------------------
def serve(port, ready):
    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import ModbusTcpServer

    async def run():
        words = [(7 * n + 3) % 65536 for n in range(200)]
        device = ModbusDeviceContext(
            di=ModbusSequentialDataBlock(1, [n % 3 == 0 for n in range(200)]),
            co=ModbusSequentialDataBlock(1, [n % 2 == 0 for n in range(200)]),
            hr=ModbusSequentialDataBlock(1, words),
            ir=ModbusSequentialDataBlock(1, words[::-1]),
        )
        server = ModbusTcpServer(ModbusServerContext(devices={1: device}, single=False), address=("127.0.0.1", port))
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0.5)
        ready.set()
        await task

    asyncio.run(run())


def record(folder):
    logging.getLogger("pymodbus").setLevel(logging.ERROR)  # it announces its next version
    from pymodbus.client import ModbusTcpClient

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ready = threading.Event()
    threading.Thread(target=serve, args=(port, ready), daemon=True).start()
    assert ready.wait(20), "the server did not start"

    recorder = Recorder()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=proxy, args=(listener, port, recorder), daemon=True).start()
    client = ModbusTcpClient("127.0.0.1", port=listener.getsockname()[1])
    assert client.connect()

    expected = []

    def words(area, address, values):
        return {f"u1/{area}/{address + n}": f"{value:04x}" for n, value in enumerate(values)}

    def bits(area, address, values):
        return {f"u1/{area}/{address + n}": str(int(value)) for n, value in enumerate(values)}

    def expect(function, kind, points=None):
        expected.append({"fn": function, "kind": kind, "pts": points or {}})

    for round_ in range(20):
        for area, function, call in (("hr", 3, client.read_holding_registers), ("ir", 4, client.read_input_registers)):
            address, count = 5 * round_, 1 + 6 * round_ % 90
            answer = call(address, count=count, device_id=1)
            expect(function, "req")
            expect(function, "rsp", words(area, address, answer.registers))
        for area, function, call in (("co", 1, client.read_coils), ("di", 2, client.read_discrete_inputs)):
            address, count = 3 * round_, 1 + 7 * round_
            answer = call(address, count=count, device_id=1)
            expect(function, "req")
            expect(function, "rsp", bits(area, address, answer.bits[:count]))
        client.write_register(round_, 1000 + round_, device_id=1)
        expect(6, "req", words("hr", round_, [1000 + round_]))
        expect(6, "rsp", words("hr", round_, [1000 + round_]))
        client.write_registers(round_, [round_, 65535 - round_], device_id=1)
        expect(16, "req", words("hr", round_, [round_, 65535 - round_]))
        expect(16, "rsp")
        client.write_coils(round_, [True, False, True], device_id=1)
        expect(15, "req")
        expect(15, "rsp")
        client.write_coil(round_, round_ % 2 == 0, device_id=1)
        coil = {f"u1/co/{round_}": "0000" if round_ % 2 else "ff00"}
        expect(5, "req", coil)
        expect(5, "rsp", coil)
    answer = client.readwrite_registers(read_address=0, read_count=4, write_address=2, values=[7, 8], device_id=1)
    expect(23, "req")
    expect(23, "rsp", words("hr", 0, answer.registers))
    client.mask_write_register(address=4, and_mask=0xF2F2, or_mask=0x2525, device_id=1)
    expect(22, "req")
    expect(22, "rsp")
    client.read_device_information(device_id=1)
    expect(43, "req")
    expect(43, "rsp")
    client.diag_query_data(b"\xab\xcd", device_id=1)
    expect(8, "req")
    expect(8, "rsp")
    assert client.read_holding_registers(60000, count=2, device_id=1).isError()
    expect(3, "req")
    expect(3, "exc")
    client.close()
    time.sleep(0.2)

    with open(f"{folder}/session.pcap", "wb") as file:
        file.write(recorder.pcap())
    with open(f"{folder}/expected.json", "w") as file:
        json.dump(expected, file)
    print(f"recorded {len(recorder.frames)} frames, {len(expected)} messages")


# --- the comparison ----------------------------------------------------------------------------------------------
def compare(folder):
    expected = json.load(open(f"{folder}/expected.json"))
    lines = [json.loads(line) for line in open(f"{folder}/session.jsonl")]
    found = [line for line in lines if line.get("p") == "modbus"]
    problems = []
    if len(found) != len(expected):
        problems.append(f"{len(found)} messages found, {len(expected)} sent")
    points = 0
    for number, (want, got) in enumerate(zip(expected, found)):
        if (str(want["fn"]), want["kind"]) != (str(got["fn"]), got["kind"]):
            problems.append(f"message {number}: sent {want['fn']} {want['kind']}, found {got['fn']} {got['kind']}")
        values = {point["tag"]: point["raw"] for point in got.get("pts") or []}
        for tag, raw in want["pts"].items():
            points += 1
            if values.get(tag) != raw:
                problems.append(f"message {number}: {tag} was {raw}, found {values.get(tag)}")
    for problem in problems[:20]:
        print(problem)
    print(f"{len(expected)} messages, {points} values compared, {len(problems)} differences")
    sys.exit(bool(problems))


if __name__ == "__main__":
    {"record": record, "compare": compare}[sys.argv[1]](sys.argv[2])
