//! What `feat dev` prints: lines to paste into another terminal, in an order that works.

use std::path::Path;

use super::apns::APP;
use super::demo::{CLIENT, PASSWORD, SECRET, USERNAME};

/// A picture of one pixel.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Where Feat is, and with a demo account what to try; `simulators` is where the simulated payment
/// providers are, and where one sees what simulated devices got.
pub(super) fn welcome(url: &str, folder: &Path, simulators: Option<(&str, &str)>) -> String {
    let folder = folder.display();
    let mut text = format!(
        "Feat is ready: {url}   documentation: {url}/api/docs/   data: {folder}   Ctrl-C ends it"
    );
    if let Some((simulators, devices)) = simulators {
        text.push_str("\n\nTo try it, paste these lines into another terminal:\n\n");
        text.push_str(&lines(url));
        text.push_str(&paying_lines(simulators));
        text.push_str(&push_lines(devices));
    }
    text
}

/// One call after the other; a variable carries what the next one needs.
fn lines(url: &str) -> String {
    format!(
        r#"# a token for the demo user
FEAT={url}
TOKEN=$(curl -sS "$FEAT/api/o/token/" -d grant_type=password -d client_id={CLIENT} -d client_secret={SECRET} \
  --data-urlencode username={USERNAME} -d password={PASSWORD} -d device_id=shell:1 | sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
AUTH="Authorization: Bearer $TOKEN"

# upload a picture
FILE=$(mktemp); echo {PICTURE} | base64 --decode > "$FILE"
REPLY=$(curl -sS "$FEAT/api/user/user-image/" -H "$AUTH" -F "img=@$FILE;filename=pixel.png" -F tags=demo,pixel); echo "$REPLY"
IMAGE=$(echo "$REPLY" | sed 's/.*"id": *\([0-9]*\).*/\1/'); OWNER=$(echo "$REPLY" | sed 's/.*"user": *\([0-9]*\).*/\1/')

# list your pictures
curl -sS "$FEAT/api/user/user-image/?uid=$OWNER&tags__contains=demo" -H "$AUTH"; echo

# delete it: the answer is a job
REPLY=$(curl -sS -X DELETE "$FEAT/api/user/user-image/$IMAGE/" -H "$AUTH"); echo "$REPLY"
JOB=$(echo "$REPLY" | sed 's/.*"id": *"\([0-9a-f-]*\)".*/\1/')

# follow the job: wait for its end, then read its events
curl -sS "$FEAT/api/job/$JOB/" -H "$AUTH" -H "Prefer: wait=10"; echo
curl -sSN "$FEAT/api/job/$JOB/events/" -H "$AUTH"
"#
    )
}

/// A bill, its code, and the payer's yes on the simulated phone.
fn paying_lines(simulators: &str) -> String {
    format!(
        r#"
# make a bill over 12.50 CNY
SIM={simulators}
REPLY=$(curl -sS "$FEAT/api/pay/order/" -H "$AUTH" -H 'Content-Type: application/json' -d '{{"amount": 1250, "subject": "tea"}}'); echo "$REPLY"
SN=$(echo "$REPLY" | sed 's/.*"sn": *"\([0-9]*\)".*/\1/')

# begin to pay it with WeChat; then its QR code is a picture
curl -sS "$FEAT/api/pay/order/$SN/pay/" -H "$AUTH" -H "Prefer: wait=10" -H 'Content-Type: application/json' -d '{{"pay_method": 200, "end_type": 0}}'; echo
curl -sS "$FEAT/api/pay/order/$SN/qr/" -H "$AUTH" -o "$(mktemp).svg"

# say yes in place of the payer, or do it by hand on $SIM/_sim/pay/wechat
curl -sS -X POST "$SIM/_sim/trades/${{SN}}01/approve"; echo

# the bill is paid: status 200
curl -sS -X POST "$FEAT/api/pay/order/$SN/refresh_order_status/" -H "$AUTH" -H "Prefer: wait=10"; echo
"#
    )
}

/// A push, its counters, and what the simulated device got.
fn push_lines(devices: &str) -> String {
    format!(
        r#"
# send a push to every device of the demo app
REPLY=$(curl -sS "$FEAT/api/push/" -H "$AUTH" -H 'Content-Type: application/json' -d '{{"app": "{APP}", "to": {{"all": true}}, "message": {{"aps": {{"alert": "Hello"}}}}}}'); echo "$REPLY"
PUSH=$(echo "$REPLY" | sed 's/.*"id": *"\([0-9a-f-]*\)".*/\1/')

# what became of it, and what the simulated device got
until curl -sS "$FEAT/api/push/$PUSH/" -H "$AUTH" | grep finished; do sleep 0.2; done
curl -sS {devices}/deliveries; echo
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_demo_account_there_is_nothing_to_paste() {
        let with =
            welcome("http://127.0.0.1:8080", Path::new("./data"), Some(("http://127.0.0.1:9", "")));
        let without = welcome("http://127.0.0.1:8080", Path::new("./data"), None);

        assert!(with.contains("curl") && with.contains("FEAT=http://127.0.0.1:8080\n"));
        assert_eq!(without.lines().count(), 1);
    }
}
