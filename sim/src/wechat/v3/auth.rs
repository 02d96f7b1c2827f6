//! Who calls: headers, time, signature, in the order in which the provider looks at them.

use hyper::Method;

use super::{Call, Problem, SCHEME, method};
use crate::{
    crypto::Hash,
    fault::Act,
    http::Request,
    sim::Sim,
};

/// How far the caller's clock may be off, in seconds.
const SKEW: i64 = 300;

pub(super) fn check<'a>(
    sim: &'a Sim,
    request: &'a Request,
    name: &str,
    act: Option<&'a Act>,
) -> Result<Call<'a>, Problem> {
    if name == "unknown" {
        return Err(Problem::new(404, "", "there is no such path"));
    }
    if request.method != method(name) {
        let message = format!("{} is not the method of this call", request.method);
        return Err(Problem::new(405, "", message));
    }
    let careful = !request.path.starts_with("/v3/pay/");
    headers(request, careful)?;
    let pairs = authorization(request)?;
    let account = sim
        .wechat
        .get(pairs.mchid)
        .ok_or_else(|| denied(format!("商户号 {} 不存在", pairs.mchid)))?;
    if pairs.serial_no != account.merchant.serial_no {
        return Err(denied(format!("证书序列号 {} 不属于该商户", pairs.serial_no)));
    }
    let skew = pairs.timestamp.parse::<i64>().ok().map(|at| (sim.now().timestamp() - at).abs());
    match skew {
        None => return Err(denied("时间戳格式错误")),
        Some(skew) if skew > SKEW => {
            return Err(denied(format!("时间戳已过期：相差 {skew} 秒，最多 {SKEW}")));
        }
        Some(_) => {}
    }
    let mut text = signed_text(request, pairs.timestamp, pairs.nonce_str).into_bytes();
    text.extend_from_slice(&request.body);
    text.push(b'\n');
    if !account.key.verifies(Hash::Sha256, &text, pairs.signature) {
        let head = signed_text(request, pairs.timestamp, pairs.nonce_str).replace('\n', "\\n");
        return Err(denied(format!("验签失败：text {head}<body>\\n")));
    }
    let segments = segments(&request.path)?;
    Ok(Call { sim, account, request, segments, act })
}

/// The signed text up to the body.
fn signed_text(request: &Request, timestamp: &str, nonce: &str) -> String {
    format!("{}\n{}\n{timestamp}\n{nonce}\n", request.method, request.target())
}

fn denied(message: impl Into<String>) -> Problem {
    Problem::new(401, "SIGN_ERROR", message)
}

/// A missing header shows before the signature on some calls, as a signature error on the others.
fn headers(request: &Request, careful: bool) -> Result<(), Problem> {
    let filled = |name| request.header(name).is_some_and(|value| !value.trim().is_empty());
    let accept = request.header("accept").unwrap_or_default();
    let accepts = accept.contains("application/json") || accept.contains("*/*");
    let posts = request.method == Method::POST;
    let json = request
        .header("content-type")
        .is_some_and(|value| value.split(';').next().map(str::trim) == Some("application/json"));
    let missing = match (filled("user-agent"), accepts) {
        (false, _) => "Http头缺少 User-Agent",
        (_, false) => "Http头 Accept 须为 application/json 或 */*",
        _ if posts && !json => "Http头 Content-Type 须为 application/json",
        _ => return Ok(()),
    };
    Err(if careful || posts && !json && filled("user-agent") && accepts {
        Problem::new(400, "INVALID_REQUEST", missing)
    } else {
        denied(missing)
    })
}

struct Pairs<'a> {
    mchid: &'a str,
    nonce_str: &'a str,
    signature: &'a str,
    timestamp: &'a str,
    serial_no: &'a str,
}

fn authorization(request: &Request) -> Result<Pairs<'_>, Problem> {
    let header = request.header("authorization").ok_or_else(|| denied("Http头缺少 Authorization"))?;
    let rest = header
        .strip_prefix(SCHEME)
        .and_then(|rest| rest.strip_prefix(' '))
        .ok_or_else(|| denied(format!("认证类型须为 {SCHEME}")))?;
    let mut found: [Option<&str>; 5] = [None; 5];
    let names = ["mchid", "nonce_str", "signature", "timestamp", "serial_no"];
    for pair in rest.split(',') {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| denied(format!("{pair:?} 不是 name=\"value\"")))?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| denied(format!("{name} 的值须在引号中")))?;
        let place = names
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| denied(format!("{name:?} 未知")))?;
        if found[place].replace(value).is_some() {
            return Err(denied(format!("{name} 重复")));
        }
    }
    let [Some(mchid), Some(nonce_str), Some(signature), Some(timestamp), Some(serial_no)] = found
    else {
        return Err(denied("Authorization 缺少 mchid, nonce_str, signature, timestamp, serial_no 之一"));
    };
    Ok(Pairs { mchid, nonce_str, signature, timestamp, serial_no })
}

/// The parts of the path below `/v3/`, decoded.
fn segments(path: &str) -> Result<Vec<String>, Problem> {
    let decode = |part: &str| {
        // In a path `+` is a plus.
        let part = part.replace('+', "%2B");
        let mut pairs = form_urlencoded::parse(part.as_bytes());
        let (text, _) = pairs.next().unwrap_or_default();
        (!text.is_empty()).then(|| text.into_owned())
    };
    let parts = path.trim_start_matches("/v3/").split('/').map(decode);
    parts
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Problem::new(404, "", "an empty part in the path"))
}
