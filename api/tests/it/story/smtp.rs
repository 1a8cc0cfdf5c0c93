//! A mail server that keeps what it is given, and talks too much when it refuses.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Mail {
    /// The body as it is read, whichever way it was packed.
    pub fn body(&self) -> String {
        let (head, body) = self.data.split_once("\r\n\r\n").expect("a head and a body");
        if head.to_lowercase().contains("quoted-printable") {
            body.replace("=\r\n", "").replace("=3D", "=")
        } else {
            body.to_owned()
        }
    }
}

pub struct MailServer {
    pub address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    /// A server that refuses the first recipients with these codes, and takes all that follow.
    pub async fn start(refusals: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let refusals = Arc::new(Mutex::new(refusals.iter().copied().collect::<VecDeque<_>>()));
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, kept.clone(), refusals.clone()));
            }
        });
        Self { address, mails }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

/// RFC 5321, as far as it takes to be handed mail.
async fn converse(
    stream: TcpStream,
    mails: Arc<Mutex<Vec<Mail>>>,
    refusals: Arc<Mutex<VecDeque<&'static str>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
    loop {
        let line = read_line(&mut stream).await?;
        let upper = line.to_uppercase();
        let answer = if upper.starts_with("EHLO") {
            "250-mail.test\r\n250 8BITMIME".to_owned()
        } else if upper.starts_with("MAIL FROM:") {
            line["MAIL FROM:".len()..].clone_into(&mut mail.from);
            "250 so be it".to_owned()
        } else if upper.starts_with("RCPT TO:") {
            let recipient = &line["RCPT TO:".len()..];
            if let Some(code) = refusals.lock().unwrap().pop_front() {
                format!("{code} {recipient}: Recipient address rejected")
            } else {
                mail.to.push(recipient.to_owned());
                "250 known here".to_owned()
            }
        } else if upper == "DATA" {
            stream.write_all(b"354 go on\r\n").await.ok()?;
            loop {
                let line = read_line(&mut stream).await?;
                if line == "." {
                    break;
                }
                mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                mail.data.push_str("\r\n");
            }
            mails
                .lock()
                .unwrap()
                .push(std::mem::replace(&mut mail, Mail { from: String::new(), to: Vec::new(), data: String::new() }));
            "250 kept".to_owned()
        } else if upper == "QUIT" {
            stream.write_all(b"221 goodbye\r\n").await.ok()?;
            return Some(());
        } else {
            "250 if you say so".to_owned()
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let size = stream.read_line(&mut line).await.ok()?;
    (size > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
