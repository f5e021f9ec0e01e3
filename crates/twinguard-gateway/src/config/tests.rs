use super::*;

const GOOD: &str = r#"mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:0"
[[token]]
principal = "platform"
file = "token"
may = ["read", "commands"]
[[modbus]]
name = "cooler"
listen = "127.0.0.1:1502"
server = "127.0.0.1:502"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plant.toml"), "format = 1\nname = \"p\"\n").unwrap();
    std::fs::write(folder.path().join("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
    folder
}

/// Mistakes of the good configuration with one text put in place of another.
fn check(old: &str, new: &str, expect: &[&str]) {
    assert!(GOOD.contains(old), "{old}");
    let folder = folder();
    let told = Config::parse(&GOOD.replacen(old, new, 1), "g.toml", folder.path()).unwrap_err().to_string();
    assert_eq!(told.lines().collect::<Vec<_>>(), expect, "{new}");
}

#[test]
fn a_good_one_is_read_with_its_defaults() {
    let folder = folder();
    let config = Config::parse(GOOD, "g.toml", folder.path()).unwrap();
    assert_eq!((config.mode, config.what_if, config.clamp), (Mode::Enforce, true, true));
    assert_eq!(config.proxies[0].ends.device, config.proxies[0].ends.server);
    assert_eq!(config.tokens[0].may, BTreeSet::from([Right::Read, Right::Commands]));
}

const OIDC: &str = r#"[[oidc]]
issuer = "https://idp.example"
keys = "idp.json"
audience = ["twinguard"]
algorithms = ["EdDSA"]
[[oidc.group]]
name = "operators"
role = "operator"
may = ["read", "approve"]
"#;
/// RFC 8037 appendix A.2.
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// Mistakes of an identity provider with one text put in place of another.
fn check_oidc(old: &str, new: &str, expect: &[&str]) {
    assert!(OIDC.contains(old), "{old}");
    let folder = folder();
    std::fs::write(folder.path().join("idp.json"), KEYS).unwrap();
    let text = format!("{GOOD}{}", OIDC.replacen(old, new, 1));
    let told = Config::parse(&text, "g.toml", folder.path()).unwrap_err().to_string();
    assert_eq!(told.lines().collect::<Vec<_>>(), expect, "{new}");
}

#[test]
fn an_identity_provider_is_read_with_its_defaults_and_its_mistakes_are_told() {
    let folder = folder();
    std::fs::write(folder.path().join("idp.json"), KEYS).unwrap();
    let config = Config::parse(&format!("{GOOD}{OIDC}"), "g.toml", folder.path()).unwrap();
    let [provider] = config.identity_providers.as_slice() else { panic!("{config:?}") };
    assert_eq!((provider.name_claim.as_str(), provider.groups_claim.as_str()), ("sub", "groups"));
    assert_eq!((provider.leeway, provider.max_age), (Duration::from_secs(30), None));
    assert_eq!(provider.groups[0].may, BTreeSet::from([Right::Approve, Right::Read]));

    check_oidc(
        "issuer",
        "isuer",
        &[
            "g.toml:15:1: key `issuer` is missing in [[oidc]]",
            "g.toml:16:1: unknown key `isuer`, did you mean `issuer`?",
        ],
    );
    check_oidc(
        "name = \"operators\"",
        "name = \"operators\"\nmay = [\"read\"]\n[[oidc]]\nissuer = \"https://other.example\"\nkeys = \"idp.json\"\n\
         audience = [\"x\"]\nalgorithms = [\"EdDSA\"]\n[[oidc.group]]\nname = \"x\"",
        &["g.toml:23:1: `prefix` is that of another [[oidc]]: people of both would bear the same names"],
    );
    check_oidc(
        "https:",
        "http:",
        &["g.toml:16:10: `issuer` must begin with `https://`, exactly as tokens have it"],
    );
    check_oidc("\"EdDSA\"", "\"none\"", &["g.toml:19:15: unknown algorithm `none`"]);
    check_oidc("\"EdDSA\"", "\"HS256\"", &["g.toml:19:15: unknown algorithm `HS256`, did you mean `ES256`?"]);
    check_oidc(
        "algorithms = [\"EdDSA\"]\n",
        "",
        &["g.toml:15:1: `algorithms` is missing: some of ES256, RS256, EdDSA"],
    );
    check_oidc(
        "[\"twinguard\"]",
        "[]",
        &[
            "g.toml:18:12: `audience` must name at least one of the names that this gateway has at the provider",
        ],
    );
    check_oidc(
        "\"approve\"",
        "\"aprove\"",
        &["g.toml:23:16: unknown right `aprove`, did you mean `approve`?"],
    );
    check_oidc("role =", "rolle =", &["g.toml:22:1: unknown key `rolle`, did you mean `role`?"]);
    check_oidc(
        "\"idp.json\"",
        "\"plant.toml\"",
        &["g.toml:17:8: `plant.toml` is no JSON Web Key Set: expected ident at line 1 column 2"],
    );
    check_oidc(
        "[\"EdDSA\"]",
        "[\"EdDSA\"]\nleeway_s = 3000",
        &["g.toml:20:12: `leeway_s` must lie from 0 to below 301"],
    );
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_nearest_choice() {
    check(
        "listen = \"127.0.0.1:0\"",
        "listen = \"127.0.0.1:0\"\nbody_byte = 3",
        &["g.toml:7:1: unknown key `body_byte`, did you mean `body_bytes`?"],
    );
    check("\"enforce\"", "\"enforced\"", &["g.toml:1:8: unknown choice `enforced`, did you mean `enforce`?"]);
    check("mode = \"enforce\"", "", &["g.toml:1:1: `mode` is missing: it is `advisory` or `enforce`"]);
    check(
        "\"commands\"]",
        "\"comands\"]",
        &["g.toml:10:16: unknown right `comands`, did you mean `commands`?"],
    );
    check(
        "\"127.0.0.1:1502\"",
        "\"127.0.0.1\"",
        &["g.toml:13:10: `listen` must be an address and a port such as `127.0.0.1:502`, not `127.0.0.1`"],
    );
    check(
        "unsealed = true",
        "unsealed = \"yes\"",
        &[
            "g.toml:3:8: `file` is not sealed: say `unsealed = true` if that is meant, or give `folder`, `seal`, `public_key`",
            "g.toml:4:12: `unsealed` must be true or false, not string",
        ],
    );
    check(
        "server = \"127.0.0.1:502\"",
        "server = \"127.0.0.1:1502\"\nopen_requests = 0",
        &[
            "g.toml:14:10: `server` is the proxy itself",
            "g.toml:15:17: `open_requests` must lie from 1 to 1024",
        ],
    );
    check(
        "file = \"token\"",
        "file = \"plant.toml\"",
        &["g.toml:9:8: `plant.toml` must hold a secret of at least 32 characters"],
    );
    check("[api]", "[api", &["g.toml:5:5: unclosed table, expected `]`"]);
}

#[test]
fn proxies_are_listed_by_protocol_and_have_its_defaults() {
    let folder = folder();
    let mut text = GOOD.to_owned();
    // In the file the other way round.
    for (port, key) in ["opcua", "iec104", "mqtt"].iter().enumerate() {
        let listen = format!("listen = \"127.0.0.1:{}\"", port + 1_503);
        text += &format!("[[{key}]]\nname = \"cooler\"\n{listen}\nserver = \"127.0.0.1:502\"\n");
    }
    let config = Config::parse(&text, "g.toml", folder.path()).unwrap();
    let read = |it: &Proxy| (it.called(), it.ends.message_time.as_secs(), it.ends.listen.port());
    let read: Vec<_> = config.proxies.iter().map(read).collect();
    let expect = [("modbus", 5, 1_502), ("mqtt", 30, 1_505), ("iec104", 15, 1_504), ("opcua", 10, 1_503)];
    assert_eq!(read, expect.map(|(key, seconds, port)| (format!("{key} cooler"), seconds, port)));
    let keys: Vec<_> = config.proxies.iter().map(|it| it.speaks.key()).collect();
    assert_eq!(keys, PROXIES.map(|kind| kind.key), "what is counted is counted under a protocol's key");
}

#[test]
fn proxies_do_not_get_in_each_others_way() {
    let server = "server = \"127.0.0.1:502\"";
    let other = |key| {
        format!(
            "{server}\n[[{key}]]\nname = \"cooler\"\nlisten = \"127.0.0.1:1502\"\nserver = \"127.0.0.1:5\""
        )
    };
    let taken = "g.toml:17:10: `listen` 127.0.0.1:1502 is taken by `cooler` already";
    check(server, &other("mqtt"), &[taken]);
    check(server, &other("modbus"), &["g.toml:16:8: proxy `cooler` is given twice", taken]);
}

#[test]
fn certificates_are_looked_at() {
    check(
        "listen = \"127.0.0.1:0\"",
        "listen = \"127.0.0.1:0\"\n[api.tls]\ncertificate = \"token\"\nkey = \"none\"\nclint_ca = \"plant.toml\"",
        &[
            "g.toml:8:15: `token` holds no certificate (`-----BEGIN CERTIFICATE-----`)",
            "g.toml:9:7: `none` cannot be read: No such file or directory (os error 2)",
            "g.toml:10:1: unknown key `clint_ca`, did you mean `client_ca`?",
        ],
    );
    check(
        "server = \"127.0.0.1:502\"",
        "server = \"127.0.0.1:502\"\n[modbus.tls]\npost_quantum = \"requires\"",
        &[
            "g.toml:15:1: key `certificate` is missing in [modbus.tls]",
            "g.toml:15:1: key `key` is missing in [modbus.tls]",
            "g.toml:15:1: `client_ca` is missing: the authority whose certificates clients have to show",
            "g.toml:16:16: unknown choice `requires`, did you mean `require`?",
        ],
    );
    check(
        "server = \"127.0.0.1:502\"",
        "server = \"127.0.0.1:502\"\n[modbus.server_tls]\nname = \"a b\"",
        &[
            "g.toml:15:1: key `ca` is missing in [modbus.server_tls]",
            "g.toml:16:8: `name` must be a host name or an address, not `a b`",
        ],
    );
    check(
        "file = \"token\"",
        "file = \"token\"\ncertificate = \"plc\"",
        &["g.toml:10:15: `certificate` needs `client_ca` in [api.tls]: nobody would show one"],
    );
}

#[test]
fn noise_is_looked_at() {
    let server = "server = \"127.0.0.1:502\"";
    let folder = folder();
    std::fs::write(folder.path().join("own.key"), "0f".repeat(32)).unwrap();
    let (one, other) = ("1e".repeat(32), "2d".repeat(32));
    let text = format!(
        "{GOOD}[modbus.noise]\nkey = \"own.key\"\n[[modbus.noise.client]]\nname = \"rtu\"\nkey = \"{one}\"\n\
         [[modbus.noise.client]]\nname = \"meter\"\nkey = \"{other}\"\n[modbus.server_noise]\npattern = \"XX\"\n\
         key = \"own.key\"\nserver = \"Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=\"\n"
    );
    let config = Config::parse(&text, "g.toml", folder.path()).unwrap();
    let ends = &config.proxies[0].ends;
    let (Some(FrontDoor::Noise(front)), Some(BackDoor::Noise(back))) = (&ends.front, &ends.back) else {
        panic!("{ends:?}")
    };
    assert_eq!((front.clients.len(), front.clients[1].name.as_str()), (2, "meter"));
    assert_eq!(back.server.to_string(), "0f".repeat(32));
    let check = |old: &str, new: &str, expect: &[&str]| {
        let told =
            Config::parse(&text.replacen(old, new, 1), "g.toml", folder.path()).unwrap_err().to_string();
        assert_eq!(told.lines().collect::<Vec<_>>(), expect, "{new}");
    };
    check("pattern = \"XX\"", "pattern = \"XK\"", &["g.toml:24:11: unknown choice `XK`, did you mean `IK`?"]);
    check(
        "key = \"own.key\"",
        "key = \"token\"",
        &["g.toml:16:7: `token` must hold a key of 64 hexadecimal digits or 44 characters of base64"],
    );
    check(&other, &one, &["g.toml:22:7: `key` is that of `rtu` already"]);
    check(
        &other,
        "meter",
        &["g.toml:22:7: `key` must be a public key of 64 hexadecimal digits or 44 characters of base64"],
    );
    check(
        "server = \"Dw8",
        "sever = \"Dw8",
        &[
            "g.toml:23:1: key `server` is missing in [modbus.server_noise]",
            "g.toml:26:1: unknown key `sever`, did you mean `server`?",
        ],
    );
    check(
        "[[modbus.noise.client]]\nname = \"rtu\"",
        "[modbus.other]\nname = \"rtu\"",
        &["g.toml:17:9: unknown key `other`"],
    );
    let alone =
        GOOD.replacen(server, &format!("{server}\n[modbus.noise]\nkey = \"own.key\"\n[modbus.tls]"), 1);
    let told = Config::parse(&alone, "g.toml", folder.path()).unwrap_err().to_string();
    assert!(told.contains("`client` is missing: [[client]] with `name` and `key`"), "{told}");
    assert!(told.contains("`noise` contradicts `tls`: it is one of them"), "{told}");
}

#[test]
fn one_way_lines_are_looked_at() {
    let server = "server = \"127.0.0.1:502\"";
    let key = "key = \"diode.key\"";
    let folder = folder();
    std::fs::write(folder.path().join("diode.key"), "0f".repeat(32)).unwrap();
    std::fs::write(folder.path().join("other.key"), "1e".repeat(32)).unwrap();
    let lines = format!(
        "{GOOD}[[one_way_send]]\nname = \"out\"\nto = \"10.0.9.2:4790\"\n{key}\nparity = 2\n\
         [[one_way_receive]]\nname = \"in\"\nlisten = \"127.0.0.1:4790\"\nkey = \"other.key\"\nstate = \"heard\"\n"
    );
    let config = Config::parse(&lines, "g.toml", folder.path()).unwrap();
    let (send, receive) = (&config.one_way_sends[0], &config.one_way_receives[0]);
    assert_eq!((send.data, send.parity, send.hold.as_millis()), (8, 2, 200));
    assert_eq!((receive.patience.as_secs(), receive.silence.as_secs()), (2, 10));
    let check = |old: &str, new: &str, expect: &str| {
        let told =
            Config::parse(&lines.replacen(old, new, 1), "g.toml", folder.path()).unwrap_err().to_string();
        assert_eq!(told, expect, "{new}");
    };
    check("parity = 2", "party = 2", "g.toml:19:1: unknown key `party`, did you mean `parity`?");
    check("parity = 2", "parity = 65", "g.toml:19:10: `parity` must lie from 0 to 64");
    check("other.key", "diode.key", "g.toml:23:7: `key` is that of another line already: each has its own");
    check("\"in\"", "\"out\"", "g.toml:21:8: one-way line `out` is given twice");
    check(
        "other.key",
        "token",
        "g.toml:23:7: `token` must hold a key of 64 hexadecimal digits (32 random bytes)",
    );
    check("\"heard\"", "\"token\"", "g.toml:24:9: `token` holds no state of a one-way receiver");
    check("state = \"heard\"", "", "g.toml:20:1: key `state` is missing in [[one_way_receive]]");
    let alone = format!("{server}\n[[one_way_send]]\nname = \"out\"\nto = \"10.0.9.2:4790\"\n{key}");
    let without = GOOD.replacen(server, &alone, 1);
    let api = without.find("[api]").unwrap()..without.find("[[modbus]]").unwrap();
    let told = Config::parse(&without.replace(&without[api], ""), "g.toml", folder.path()).unwrap_err();
    assert_eq!(
        told.to_string(),
        "g.toml:9:1: `one_way_send` needs [api]: what goes out are the points that are told there"
    );
}

#[test]
fn a_network_needs_tls_or_a_loud_word() {
    let told = {
        let folder = folder();
        let text = GOOD.replacen("127.0.0.1:0", "0.0.0.0:80", 1);
        Config::parse(&text, "g.toml", folder.path()).unwrap_err().to_string()
    };
    assert!(told.starts_with("g.toml:6:10: `listen` is not on this machine"), "{told}");
}
