//! Redis streams as the peer of durable events, by their own protocol: as many `XADD` under way as Flyball
//! has senders, and one consumer that reads ten, acknowledges ten and does nothing.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Instant,
};

use crate::process::{Server, free_address};

/// Connections of the producers; each has its share of the sends under way.
const PRODUCERS: usize = 8;

/// A Redis of our own.
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts `redis-server` with its data in `directory`, every write on disk before it is answered.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn start(path: &str, directory: &Path) -> io::Result<Redis> {
        let address = free_address()?;
        let mut command = Command::new(path);
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
            "--loglevel",
            "warning",
        ]);
        // A rewrite of the log while it is measured would be to its disadvantage.
        command.args(["--auto-aof-rewrite-percentage", "0"]);
        command.arg("--dir").arg(directory);
        Ok(Redis { server: Server::start(&mut command, address)? })
    }

    /// Events a second from the first `XADD` to the last `XACK`, with so many sends under way.
    ///
    /// # Errors
    /// Where it does not answer as expected.
    pub fn cycle(&self, events: u64, under_way: usize, body: &[u8]) -> io::Result<f64> {
        let address = self.server.address;
        let mut control = Connection::open(address)?;
        control.send(&[b"DEL", b"s"])?;
        control.reply()?;
        control.send(&[b"XGROUP", b"CREATE", b"s", b"g", b"0", b"MKSTREAM"])?;
        control.reply()?;
        let each = events / PRODUCERS as u64;
        let begun = Instant::now();
        thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|_| scope.spawn(move || produce(address, each, under_way / PRODUCERS, body)))
                .collect();
            consume(address, each * PRODUCERS as u64)?;
            for producer in producers {
                producer.join().map_err(|_| io::Error::other("a producer panicked"))??;
            }
            Ok::<(), io::Error>(())
        })?;
        Ok((each * PRODUCERS as u64) as f64 / begun.elapsed().as_secs_f64())
    }
}

fn produce(address: SocketAddr, events: u64, under_way: usize, body: &[u8]) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    let (mut sent, mut answered) = (0, 0);
    while answered < events {
        while sent < events && sent - answered < under_way as u64 {
            connection.queue(&[b"XADD", b"s", b"*", b"d", body]);
            sent += 1;
        }
        connection.flush()?;
        // All that are there are answered before more is sent, as a pipelining client does.
        loop {
            connection.reply()?;
            answered += 1;
            if answered == sent || !connection.has_more() {
                break;
            }
        }
    }
    Ok(())
}

fn consume(address: SocketAddr, events: u64) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    let read: [&[u8]; 10] =
        [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"10", b"BLOCK", b"1000", b"STREAMS", b"s"];
    let mut read = read.to_vec();
    read.push(b">");
    let mut consumed = 0;
    connection.send(&read)?;
    while consumed < events {
        let ids = connection.reply()?;
        consumed += ids.len() as u64;
        if !ids.is_empty() {
            let mut acknowledge: Vec<&[u8]> = vec![b"XACK", b"s", b"g"];
            acknowledge.extend(ids.iter().map(Vec::as_slice));
            connection.queue(&acknowledge);
        }
        if consumed < events {
            connection.queue(&read);
        }
        connection.flush()?;
        if !ids.is_empty() {
            connection.reply()?;
        }
    }
    Ok(())
}

/// A connection that speaks RESP2.
struct Connection {
    reader: BufReader<TcpStream>,
    out: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Connection { reader: BufReader::with_capacity(64 << 10, stream), out: Vec::new() })
    }

    fn queue(&mut self, words: &[&[u8]]) {
        // Writing to a vector can't fail.
        drop(write!(self.out, "*{}\r\n", words.len()));
        for word in words {
            drop(write!(self.out, "${}\r\n", word.len()));
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reader.get_mut().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.queue(words);
        self.flush()
    }

    fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// Reads a reply; the strings in it that look like the ids of a stream.
    fn reply(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut ids = Vec::new();
        self.value(&mut ids)?;
        Ok(ids)
    }

    fn value(&mut self, ids: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).unwrap_or(("", ""));
        let length = || rest.parse::<i64>().map_err(|_| io::Error::other(format!("odd reply {line:?}")));
        match kind {
            "+" | ":" => Ok(()),
            "$" => {
                let Ok(length) = usize::try_from(length()?) else { return Ok(()) };
                let mut text = vec![0; length + 2];
                self.reader.read_exact(&mut text)?;
                text.truncate(length);
                let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
                if text.contains(&b'-') && text.iter().all(digits) {
                    ids.push(text);
                }
                Ok(())
            }
            "*" => (0..length()?).try_for_each(|_| self.value(ids)),
            _ => Err(io::Error::other(format!("it answered {line:?}"))),
        }
    }
}
