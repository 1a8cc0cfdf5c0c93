//! The front ends that the api carries: pages, their files, and what caches are told of them.

use humanchat_domain::{clock::Clock, testing::TestDatabase};

use crate::support::{Answer, Api, api, api_on};

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

impl Api {
    async fn page(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.http.get(self.url(path)).header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }
}

/// The addresses that a page loads its files from.
fn files(page: &str) -> Vec<&str> {
    let files = page.split('"').filter(|part| part.starts_with("/assets/")).collect::<Vec<_>>();
    assert!(files.len() >= 3, "a script, a style and an icon: {page}");
    files
}

#[tokio::test]
async fn the_console_loads_nothing_from_elsewhere_and_nothing_inline() {
    let api = api().await;
    let page = api.page("/console", &[]).await;
    assert_eq!((page.status.as_u16(), header(&page, "content-type")), (200, "text/html; charset=utf-8"));
    let policy = header(&page, "content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains("://"), "{}", page.text);
    for path in ["/console/", "/console/queues", "/console/users?search=%25"] {
        assert_eq!(api.page(path, &[]).await.text, page.text, "{path}");
    }
    for file in files(&page.text) {
        let answer = api.page(file, &[]).await;
        let expected = match file.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("what is {other}?"),
        };
        assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, expected), "{file}");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let api = api().await;
    let page = api.page("/console", &[]).await;
    let tag = header(&page, "etag").to_owned();
    assert_eq!(header(&page, "cache-control"), "no-cache");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = api.page("/console", &[("if-none-match", &known)]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""), "{known}");
        assert_eq!((header(&answer, "etag"), header(&answer, "cache-control")), (tag.as_str(), "no-cache"));
    }
    for other in ["\"other\"", "", "other, \"more\""] {
        assert_eq!(api.page("/console", &[("if-none-match", other)]).await.status, 200, "{other}");
    }
}

#[tokio::test]
async fn files_are_those_of_the_build_and_no_others() {
    let api = api().await;
    for path in
        ["/assets/nothing.js", "/assets/..%2Fconsole.html", "/assets/%2e%2e%2fpages.css", "/assets/", "/assets/a/b"]
    {
        api.page(path, &[]).await.refused(404, "resource_not_found");
    }
    assert_eq!(api.page("/assets/pages.css", &[]).await.status, 200, "those of older pages too");
}

#[tokio::test]
async fn the_page_to_try_it_is_for_browsers_in_development() {
    let api = api().await;
    let welcome = api.page("/", &[]).await;
    assert_eq!((welcome.status.as_u16(), header(&welcome, "content-type")), (200, "application/json"));
    api.page("/dev/settings.json", &[]).await.refused(404, "resource_not_found");

    let settings = [("DEV_PAGES", "true"), ("STRIPE_API_BASE", "http://127.0.0.1:4010")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    let page = api.page("/", &[]).await;
    assert!(page.text.contains("<title>Try HumanChat</title>"), "{}", page.text);
    assert_eq!(header(&page, "vary").split(',').next(), Some("accept"));
    files(&page.text);
    let plain = api.send(api.http.get(api.url("/"))).await;
    assert_eq!(plain.text, welcome.text, "who doesn't ask for a page gets what they got");
    let settings = api.page("/dev/settings.json", &[]).await.ok(200);
    assert_eq!(settings["cardPages"], "http://127.0.0.1:4010/");
}
