//! What the figures were measured on.

use std::{fs, process::Command};

use humanchat_local::postgres::Postgres;

/// One line: processor, memory, kernel, versions.
pub fn description(postgres: &Postgres) -> String {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let postgres = postgres.bin_dir().join("postgres").display().to_string();
    [
        format!("{cores} cores ({})", processor()),
        format!("{} GiB of memory", kib.div_ceil(1 << 20)),
        format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim()),
        version(&postgres, "--version").replace("postgres (PostgreSQL)", "PostgreSQL"),
        version("redis-server", "--version").split(" sha").next().unwrap_or_default().replace("server v=", ""),
        format!("Node {}", version("node", "--version")),
        version("rustc", "--version"),
    ]
    .join(", ")
}

fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// What a program says of itself; a dash when it isn't there.
fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "–".to_owned())
}
