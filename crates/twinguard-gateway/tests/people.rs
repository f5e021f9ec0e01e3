//! People who come with tokens of an identity provider: who may read, who may agree, and until when.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use twinguard_gateway::{Config, Gateway, build};

use support::{http, write};

const SECRET: &str = "11111111111111111111111111111111";
const PLANT: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "tank.setpoint"
role = "setpoint"
[[principal]]
name = "anna"
kind = "user"
roles = ["operator"]
[[principal]]
name = "plc"
kind = "device"
roles = ["controller"]
"#;
const POLICY: &str = r#"
format = 1
[[rule]]
name = "set-points need two"
effect = "allow"
roles = ["controller"]
signals = ["tank.setpoint"]
two_person = true
approvers = ["operator", "supervisor"]
"#;
const CONFIG: &str = r#"mode = "enforce"
policy = "policy.toml"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:0"
requests_per_second = 20
[[token]]
principal = "platform"
file = "platform"
may = ["commands"]
speaks_for = true
[[oidc]]
issuer = "https://idp.example"
keys = "idp.json"
audience = ["twinguard"]
algorithms = ["EdDSA"]
leeway_s = 1
[[oidc.group]]
name = "approvers"
role = "supervisor"
may = ["approve", "read"]
[[oidc.group]]
name = "deciders"
may = ["approve", "read"]
[[oidc.group]]
name = "watchers"
may = ["read"]
"#;
/// RFC 8037 appendix A.1 and A.2, and the key of RFC 8032 §7.1 test 2.
const SEEDS: [&str; 2] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
];
const PUBLIC: [&str; 2] =
    ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"];

fn keys(number: usize) -> String {
    json!({ "keys": [{ "kty": "OKP", "kid": format!("k{number}"), "crv": "Ed25519", "x": PUBLIC[number] }] })
        .to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token, signed by the key of this number.
fn token(number: usize, name: &str, groups: &[&str], changed: &Value) -> String {
    let seed = (0..32).map(|at| u8::from_str_radix(&SEEDS[number][2 * at..2 * at + 2], 16).unwrap());
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(seed);
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(format!("k{number}"));
    let mut claims = json!({
        "iss": "https://idp.example", "aud": "twinguard", "sub": name, "groups": groups, "iat": now(), "exp": now() + 60,
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    encode(&header, &claims, &EncodingKey::from_ed_der(&der)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_agree_by_their_tokens_until_key_group_or_time_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("plant.toml", PLANT), ("platform", SECRET), ("policy.toml", POLICY), ("idp.json", &keys(0))]
    {
        write(folder.path(), name, text);
    }
    let read = || Config::parse(CONFIG, "gateway.toml", folder.path()).unwrap();
    let mistaken = CONFIG.replace("\"supervisor\"", "\"supervizor\"");
    let mistaken = Config::parse(&mistaken, "gateway.toml", folder.path()).unwrap();
    let told = build(&mistaken, true).unwrap_err().to_string();
    let expected = "gateway.toml:22:8: unknown role of the policy `supervizor`, did you mean `supervisor`?";
    assert_eq!(told, expected);
    let gateway = Gateway::start(&read(), build(&read(), true).unwrap().core).await.unwrap();
    let api = gateway.api().unwrap();
    let state = async |token: &str| http(api, "GET", "/v1/state", Some(token), "").await;

    // Who may read, and who may nothing.
    let watcher = token(0, "walter", &["watchers", "other"], &json!({}));
    assert_eq!(state(&watcher).await.0, 200);
    let (status, text) = state(&token(0, "eve", &["other"], &json!({}))).await;
    assert!(status == 403 && text.contains("right `read`"), "{status} {text}");
    for (changed, reason) in [
        (json!({ "exp": now() - 5, "iat": now() - 60 }), "the token has expired"),
        (json!({ "aud": "somebody" }), "the token is for somebody else"),
        (json!({ "iss": "https://idp.example/" }), "the token is of another issuer"),
        (json!({ "iat": now() + 60 }), "the token is not valid yet"),
    ] {
        let (status, text) = state(&token(0, "anna", &["approvers"], &changed)).await;
        assert!(status == 401 && text.contains(reason), "{status} {text}, not {reason}");
    }
    let foreign = token(1, "anna", &["approvers"], &json!({}));
    let (status, text) = state(&foreign).await;
    assert!(status == 401 && text.contains("names no key"), "{status} {text}");

    // A held command, agreed to by a person.
    let hold = async |value: u32| {
        let asked =
            json!({ "signal": "tank.setpoint", "value": value, "principal": { "name": "plc" } }).to_string();
        let (status, text) = http(api, "POST", "/v1/commands", Some(SECRET), &asked).await;
        let held: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &held["decision"]), (200, &json!("hold")), "{text}");
        format!("/v1/held/{}", held["command"])
    };
    let agree = async |path: &str, value: u32, token: &str| {
        let seen =
            json!({ "approve": true, "signal": "tank.setpoint", "value": f64::from(value) }).to_string();
        http(api, "POST", path, Some(token), &seen).await
    };
    let path = hold(4).await;
    let (status, text) = agree(&path, 4, &watcher).await;
    assert!(status == 403 && text.contains("right `approve`"), "{status} {text}");
    // A person is no device because they are called like one, nor of a role that no group gives.
    let (status, text) = agree(&path, 4, &token(0, "plc", &["approvers"], &json!({}))).await;
    assert!(status == 403 && text.contains("another kind"), "{status} {text}");
    // What the plant file says of anna counts; of sam, what the groups say.
    let (status, text) = agree(&path, 4, &token(0, "anna", &["approvers"], &json!({}))).await;
    assert!(status == 200 && text.contains("\"allow\""), "{status} {text}");
    let path = hold(5).await;
    assert_eq!(agree(&path, 5, &token(0, "sam", &["approvers"], &json!({}))).await.0, 200);
    // Whom a group gave a role has it no longer once the provider says so, and again when it says otherwise.
    let path = hold(7).await;
    let (status, text) = agree(&path, 7, &token(0, "sam", &["deciders"], &json!({}))).await;
    assert!(status == 403, "{status} {text}");
    assert_eq!(agree(&path, 7, &token(0, "sam", &["approvers"], &json!({}))).await.0, 200);
    // A program's name is no person's.
    let (status, text) = state(&token(0, "platform", &["approvers"], &json!({}))).await;
    assert!(status == 401 && text.contains("a secret of their own"), "{status} {text}");

    // After a reload with other keys the old ones are worth nothing, and a mistake leaves everything as it was.
    let path = hold(6).await;
    let anna = token(0, "anna", &["approvers"], &json!({}));
    write(folder.path(), "idp.json", "{}");
    assert!(Config::parse(CONFIG, "gateway.toml", folder.path()).is_err());
    assert_eq!(state(&anna).await.0, 200);
    write(folder.path(), "idp.json", &keys(1));
    gateway.reload(&read()).await.unwrap();
    assert_eq!(state(&anna).await.0, 401);
    assert_eq!(agree(&path, 6, &token(1, "anna", &["approvers"], &json!({}))).await.0, 200);

    // The journal's secret of the platform is as good as before, and no person floods.
    let many = token(1, "nina", &["watchers"], &json!({}));
    let mut flooded = 0;
    for _ in 0..100 {
        flooded += usize::from(state(&many).await.0 == 429);
    }
    assert!(flooded > 0, "twenty a second, and as many again in a burst");
    assert_eq!(state(&token(1, "anna", &["approvers"], &json!({}))).await.0, 200);
    gateway.stop().await.unwrap();
}

/// Events end with the token of whoever listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_end_with_the_token() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("plant.toml", PLANT), ("platform", SECRET), ("policy.toml", POLICY), ("idp.json", &keys(0))]
    {
        write(folder.path(), name, text);
    }
    let config = Config::parse(CONFIG, "gateway.toml", folder.path()).unwrap();
    let gateway = Gateway::start(&config, build(&config, true).unwrap().core).await.unwrap();
    let short = token(0, "walter", &["watchers"], &json!({ "exp": now() + 2 }));
    let mut stream = tokio::net::TcpStream::connect(gateway.api().unwrap()).await.unwrap();
    let text = format!(
        "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {short}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer));
    ended.await.expect("it ends").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("event: state"), "{answer}");
    gateway.stop().await.unwrap();
}
