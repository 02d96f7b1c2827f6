//! `feat sim`: runs the simulated payment providers and the simulated Apple push, and asks
//! simulators of payment providers that run elsewhere.

mod apns;

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    failure::Failure,
    output::{self, Form},
    signals,
};

/// Longest wait for an answer of the simulators.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// What can go wrong; the simulators' own list.
const ACTS: [&str; 32] = [
    "drop_before",
    "drop_after",
    "late",
    "error_before",
    "error_after",
    "bad_signature",
    "unsigned",
    "stale",
    "probe",
    "stranger",
    "self_signed",
    "garbage",
    "throttle",
    "pay_early",
    "pay_after_close",
    "rotate_keys",
    "refund_closed",
    "refund_abnormal",
    "pending",
    "defective",
    "lose",
    "duplicate",
    "reorder",
    "tamper",
    "extra_field",
    "foreign",
    "bill_not_ready",
    "bill_omits",
    "bill_invents",
    "bill_amount",
    "bill_fee",
    "bill_refund_fee",
];

/// Where the simulators are, and what to do with them.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimArgs {
    /// What to ask simulators that run; without it they are started here
    #[command(subcommand)]
    command: Option<SimCommand>,
    /// Address of the simulators: to listen on, or to ask
    #[arg(long, value_name = "ADDRESS", global = true, default_value = "127.0.0.1:9400")]
    listen: SocketAddr,
    /// Address of the simulated Apple push: the two ports behind it are its sandbox and its control
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9401")]
    apns: SocketAddr,
    /// The application at Alipay is one with certificates, not with public keys
    #[arg(long)]
    alipay_certificates: bool,
    /// Say where everything is as one JSON object
    #[arg(long)]
    json: bool,
}

/// What can be asked.
#[derive(Debug, Clone, Subcommand)]
enum SimCommand {
    /// Let something go wrong with the next calls of a kind
    #[command(after_help = "\
Examples:
  feat sim fault wechat.v3.refund drop_after
  feat sim fault 'alipay.*' late ms=3000 --times 5
  feat sim fault wechat.v2.notify.pay duplicate copies=3
  feat sim fault --clear")]
    Fault(FaultArgs),
    /// Print every movement of money
    Ledger {
        /// One JSON object, entries and sums; so it does by itself when nobody watches
        #[arg(long)]
        json: bool,
    },
    /// Pay a trade as its payer
    #[command(after_help = "\
Examples:
  feat sim pay 20261124000001
  feat sim pay 20261124000001 --decline")]
    Pay(PayArgs),
}

#[derive(Debug, Clone, Args)]
struct FaultArgs {
    /// Name of the call, such as `wechat.v3.create`; `*` at the end stands for the rest
    #[arg(required_unless_present = "clear")]
    call: Option<String>,
    /// What happens
    #[arg(required_unless_present = "clear", value_parser = PossibleValuesParser::new(ACTS))]
    act: Option<String>,
    /// Numbers that the act needs: `ms=3000` for `late`, `copies=2` for `duplicate`
    #[arg(value_name = "NAME=NUMBER", value_parser = number)]
    numbers: Vec<(String, u64)>,
    /// How many calls it happens to
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Forget every script
    #[arg(long, conflicts_with_all = ["call", "act", "numbers"])]
    clear: bool,
}

#[derive(Debug, Clone, Args)]
struct PayArgs {
    /// The merchant's number, the provider's, or the code
    trade: String,
    /// Say no instead
    #[arg(long, conflicts_with = "expire")]
    decline: bool,
    /// Let the time run out instead
    #[arg(long)]
    expire: bool,
}

fn number(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("expected NAME=NUMBER")?;
    let number = number.parse().map_err(|_| format!("{number} is not a number"))?;
    Ok((name.to_owned(), number))
}

/// Does it.
///
/// # Errors
///
/// The address is taken, or nobody answers there, or the simulators refuse.
pub(crate) async fn run(args: SimArgs) -> Result<(), Failure> {
    match args.command.clone() {
        None => serve(&args).await,
        Some(SimCommand::Fault(fault)) => script(args.listen, fault).await,
        Some(SimCommand::Ledger { json }) => ledger(args.listen, json).await,
        Some(SimCommand::Pay(pay)) => {
            let answer = match (pay.decline, pay.expire) {
                (true, _) => "decline",
                (_, true) => "expire",
                _ => "approve",
            };
            let path = format!("/_sim/trades/{}/{answer}", encode(&pay.trade));
            Ok(output::json(&ask(args.listen, "POST", &path, &Value::Null).await?)?)
        }
    }
}

async fn serve(args: &SimArgs) -> Result<(), Failure> {
    let SimArgs { listen, apns, alipay_certificates, json, .. } = *args;
    if let Some(open) = [listen, apns].into_iter().find(|address| !address.ip().is_loopback()) {
        let problem = format!("{open} can be reached from other machines");
        return Err(Failure::setup(problem, "Everybody knows the simulators' keys: use loopback"));
    }
    let shutdown = signals::shutdown()?;
    let advice = "Choose another address with --listen";
    let settings = ::sim::Settings::fixture().map_err(|error| Failure::setup(error, advice))?;
    let mut settings = ::sim::Settings { listen: vec![listen], ..settings };
    if alipay_certificates {
        for merchant in &mut settings.merchants {
            merchant.alipay.keys = ::sim::AlipayKeys::Certificate;
        }
    }
    let running = ::sim::start(settings).await.map_err(|error| Failure::setup(error, advice))?;
    let url = running.url();
    let pushes = apns::start(apns).await?;
    if json {
        let merchant = format!("{url}/_sim/merchant");
        output::json(&json!({ "url": url, "merchant": merchant, "apns": pushes.json() }))?;
    } else {
        output::line(welcome(url, &pushes))?;
    }
    shutdown.cancelled().await;
    running.stop().await;
    Ok(())
}

fn welcome(url: &str, pushes: &apns::Pushes) -> String {
    format!(
        "Simulated WeChat Pay, Alipay and UnionPay on {url}\n\
         \n\
         pay          {url}/\n\
         keys, ids    {url}/_sim/merchant\n\
         WeChat Pay   {url}  (v2 and v3)\n\
         Alipay       {url}/gateway.do\n\
         UnionPay     {url}/gateway/api/\n\n{}",
        pushes.told()
    )
}

async fn script(address: SocketAddr, fault: FaultArgs) -> Result<(), Failure> {
    if fault.clear {
        ask(address, "DELETE", "/_sim/faults", &Value::Null).await?;
        return Ok(());
    }
    let mut script = Map::new();
    script.insert("call".to_owned(), json!(fault.call));
    script.insert("act".to_owned(), json!(fault.act));
    script.insert("times".to_owned(), json!(fault.times));
    script.extend(fault.numbers.into_iter().map(|(name, number)| (name, json!(number))));
    Ok(output::json(&ask(address, "POST", "/_sim/faults", &Value::Object(script)).await?)?)
}

async fn ledger(address: SocketAddr, json: bool) -> Result<(), Failure> {
    let ledger = ask(address, "GET", "/_sim/ledger", &Value::Null).await?;
    if Form::chosen(json) == Form::Json {
        return Ok(output::json(&ledger)?);
    }
    let mut rows = output::table(["at", "provider", "merchant", "effect", "key", "fen"]);
    for entry in ledger["entries"].as_array().into_iter().flatten() {
        let names = ["at", "provider", "merchant", "effect", "key"];
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let mut cells = names.map(text).to_vec();
        cells.push(entry["amount"].to_string());
        rows.add_row(cells);
    }
    Ok(output::line(rows)?)
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// One request to simulators that run; the answer's body, `null` when it is empty.
async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Failure> {
    let advice = "Start them with feat sim, or say where they are with --listen";
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => String::from_utf8_lossy(&answer).into_owned(),
        Ok(Err(error)) => {
            return Err(Failure::setup(format!("no simulators at {address}: {error}"), advice));
        }
        Err(_) => {
            return Err(Failure::setup(format!("no answer from {address}"), advice));
        }
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    let parsed = serde_json::from_str(body).unwrap_or(Value::Null);
    if status.is_some_and(|status| (200..300).contains(&status)) {
        return Ok(parsed);
    }
    match parsed["error"].as_str() {
        // They run, and know best what is wrong.
        Some(why) => Err(Failure::Setup(format!("the simulators at {address} refuse: {why}"))),
        None => Err(Failure::setup(format!("{address}: not an answer of simulators"), advice)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acts_of_the_help_are_those_of_the_simulators() {
        let script = |act: &str| json!({ "call": "alipay.*", "act": act, "ms": 1, "copies": 1 });
        for act in ACTS {
            let read = serde_json::from_value::<::sim::Fault>(script(act));
            assert!(read.is_ok(), "{act}: {read:?}");
        }
        let told =
            serde_json::from_value::<::sim::Fault>(script("dance")).map_err(|e| e.to_string());
        let told = told.err().unwrap_or_default();
        // `dance` itself is between quotes as well.
        assert_eq!(told.matches('`').count() / 2, ACTS.len() + 1, "{told}");
    }
}
