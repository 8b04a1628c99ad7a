//! What other sites show of a broadcast: the tags that make a link preview, and the frame with the player.
//!
//! Crawlers run no script, so the tags stand in the page as it is served.

use std::fmt::Write as _;

use http::Uri;

use crate::api::broadcasts::Outside;
use crate::broadcast::names::is_id;
use crate::services::Services;

/// The shape of the player where the picture's own is not known.
const SHAPE: Size = Size { width: 640, height: 360 };

/// Width and height, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// The largest of the same shape within `width` and `height`; `None` when that is nothing.
    pub fn within(self, width: u32, height: u32) -> Option<Self> {
        let fit = |from: u32, of: u32, to: u32| u32::try_from(u64::from(from) * u64::from(to) / u64::from(of.max(1)));
        let tall = fit(self.height, self.width, width).unwrap_or(u32::MAX);
        let size = match tall <= height {
            true => Self { width, height: tall },
            false => Self { width: fit(self.width, self.height, height).unwrap_or(u32::MAX), height },
        };
        (size.width > 0 && size.height > 0).then_some(size)
    }
}

/// A broadcast as other sites show it.
#[derive(Clone, Debug)]
pub struct Preview {
    pub title: String,
    pub owner: String,
    /// `https://host`, and under it the pages.
    pub site: String,
    pub watch: String,
    pub embed: String,
    /// A JPEG, when there is one that everybody may see.
    pub picture: Option<String>,
    live: bool,
    replay: bool,
}

impl Preview {
    /// `None` when there is no such broadcast.
    pub async fn find(services: &Services, outside: &Outside, id: &str) -> Result<Option<Self>, store::Error> {
        let row = if is_id(id) { services.store.broadcast(id).await? } else { None };
        let Some(row) = row else { return Ok(None) };
        let rule = services.access.rule(&services.store, id).await?;
        let replay = row.state.is_over() && rule.is_some_and(|rule| rule.is_open());
        let on_air = services.directory.get(id).filter(|_| !row.state.is_over());
        let live = on_air.is_some_and(|broadcast| broadcast.keyframe().is_some());
        let picture = match (live, replay) {
            (true, _) => Some(outside.thumbnail(id)),
            (false, true) => Some(outside.replay_picture(id)),
            (false, false) => None,
        };
        Ok(Some(Self {
            title: if row.title.is_empty() { "Untitled".into() } else { row.title },
            owner: row.owner.name,
            site: outside.site().to_owned(),
            watch: outside.watch(id),
            embed: outside.embed(id),
            picture,
            live,
            replay,
        }))
    }

    /// The tags for the head of the page.
    pub fn tags(&self) -> String {
        let what = match (self.live, self.replay) {
            (true, _) => "is live on Oriel. Watch, and take part.",
            (false, true) => "was live on Oriel. Watch the replay.",
            (false, false) => "on Oriel: go live, and watch together.",
        };
        let description = format!("{} {what}", self.owner);
        let Size { width, height } = SHAPE;
        let mut tags = Tags::default();
        tags.title(&format!("{} · {} · Oriel", self.title, self.owner));
        tags.meta("name", "description", &description);
        tags.meta("property", "og:site_name", "Oriel");
        tags.meta("property", "og:type", "video.other");
        tags.meta("property", "og:title", &self.title);
        tags.meta("property", "og:description", &description);
        tags.meta("property", "og:url", &self.watch);
        tags.meta("property", "og:video", &self.embed);
        tags.meta("property", "og:video:type", "text/html");
        tags.meta("property", "og:video:width", &width.to_string());
        tags.meta("property", "og:video:height", &height.to_string());
        tags.meta("name", "twitter:title", &self.title);
        tags.meta("name", "twitter:description", &description);
        // A player card must have a picture.
        tags.meta("name", "twitter:card", if self.picture.is_some() { "player" } else { "summary" });
        if let Some(picture) = &self.picture {
            tags.meta("property", "og:image", picture);
            tags.meta("name", "twitter:image", picture);
            tags.meta("name", "twitter:player", &self.embed);
            tags.meta("name", "twitter:player:width", &width.to_string());
            tags.meta("name", "twitter:player:height", &height.to_string());
        }
        tags.link("canonical", &self.watch, "");
        let oembed = format!("{}/api/v1/oembed?url={}", self.site, percent_encoded(&self.watch));
        tags.link("alternate", &oembed, "application/json+oembed");
        tags.0
    }

    /// The player in a frame, for another page's HTML.
    pub fn frame(&self, Size { width, height }: Size) -> String {
        format!(
            "<iframe src=\"{}\" width=\"{width}\" height=\"{height}\" title=\"{}\" \
             allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen frameborder=\"0\"></iframe>",
            escaped(&self.embed),
            escaped(&self.title)
        )
    }
}

/// The shape of the picture, from what is live or recorded; 16:9 when neither says.
pub async fn shape(services: &Services, id: &str) -> Size {
    let live = services.directory.get(id).and_then(|broadcast| broadcast.format()).and_then(|format| format.video);
    let size = match live {
        Some(video) => Some((video.width, video.height)),
        None => services.archive.open(id).await.ok().and_then(|replay| replay.size()),
    };
    let known = size.filter(|(width, height)| *width > 0 && *height > 0);
    known.map_or(SHAPE, |(width, height)| Size { width, height })
}

/// The broadcast whose page, or player, has that address here. `hosts` are those of this server.
pub fn broadcast_at<'a>(url: &'a str, hosts: &[&str]) -> Option<&'a str> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let id = path.strip_prefix("watch/").or_else(|| path.strip_prefix("embed/"))?;
    let ours = matches!(scheme, "http" | "https") && hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
    Some(id).filter(|id| ours && is_id(id))
}

/// Host and port of a site's address.
pub fn host_of(site: &str) -> Option<String> {
    site.parse::<Uri>().ok()?.authority().map(ToString::to_string)
}

#[derive(Default)]
struct Tags(String);

impl Tags {
    fn title(&mut self, title: &str) {
        let _ = writeln!(self.0, "<title>{}</title>", escaped(title));
    }

    fn meta(&mut self, kind: &str, name: &str, content: &str) {
        let _ = writeln!(self.0, "<meta {kind}=\"{name}\" content=\"{}\" />", escaped(content));
    }

    fn link(&mut self, relation: &str, address: &str, kind: &str) {
        let kind = if kind.is_empty() { String::new() } else { format!(" type=\"{kind}\"") };
        let _ = writeln!(self.0, "<link rel=\"{relation}\"{kind} href=\"{}\" />", escaped(address));
    }
}

/// Text for HTML, in an attribute or between tags.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text for the value of a query (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(title: &str, picture: Option<&str>) -> Preview {
        Preview {
            title: title.into(),
            owner: "ann".into(),
            site: "https://live.example".into(),
            watch: "https://live.example/watch/abcdefghjkmnp".into(),
            embed: "https://live.example/embed/abcdefghjkmnp".into(),
            picture: picture.map(Into::into),
            live: true,
            replay: false,
        }
    }

    #[test]
    fn a_hostile_title_stays_text() {
        let hostile = preview("\"><script>alert('1')</script>&amp;", None);
        for html in [hostile.tags(), hostile.frame(SHAPE)] {
            assert!(!html.contains("<script") && !html.contains("\">&lt;/"), "{html}");
            assert!(html.contains("&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;"), "{html}");
        }
    }

    #[test]
    fn a_page_is_found_by_its_embedding_and_shown_with_its_picture() {
        let tags = preview("From the roof", Some("https://live.example/p.jpg")).tags();
        for tag in [
            "<title>From the roof · ann · Oriel</title>",
            "<meta property=\"og:image\" content=\"https://live.example/p.jpg\" />",
            "<meta name=\"twitter:card\" content=\"player\" />",
            "<link rel=\"alternate\" type=\"application/json+oembed\" \
             href=\"https://live.example/api/v1/oembed?url=https%3A%2F%2Flive.example%2Fwatch%2Fabcdefghjkmnp\" />",
        ] {
            assert!(tags.contains(tag), "{tag}\n{tags}");
        }
        assert!(!preview("x", None).tags().contains("og:image"));
    }

    #[test]
    fn a_frame_keeps_the_shape_of_the_picture() {
        let size = |width, height| Size { width, height };
        assert_eq!(size(1280, 720).within(640, u32::MAX), Some(size(640, 360)));
        assert_eq!(size(1280, 720).within(640, 180), Some(size(320, 180)));
        assert_eq!(size(720, 1280).within(640, 640), Some(size(360, 640)));
        assert_eq!(size(1, u32::MAX).within(u32::MAX, 9), None);
        assert_eq!(size(1280, 720).within(0, 100), None);
    }

    #[test]
    fn only_pages_of_this_server_are_embedded() {
        let at = |url| broadcast_at(url, &["live.example", "10.0.0.1:8080"]);
        for url in [
            "https://live.example/watch/abcdefghjkmnp",
            "https://LIVE.example/embed/abcdefghjkmnp/?t=1#x",
            "http://10.0.0.1:8080/watch/abcdefghjkmnp",
        ] {
            assert_eq!(at(url), Some("abcdefghjkmnp"), "{url}");
        }
        for url in [
            "",
            "live.example/watch/abcdefghjkmnp",
            "ftp://live.example/watch/abcdefghjkmnp",
            "https://evil.example/watch/abcdefghjkmnp",
            "https://live.example@evil.example/watch/abcdefghjkmnp",
            "https://live.example/watch/ABC",
            "https://live.example/go/abcdefghjkmnp",
        ] {
            assert_eq!(at(url), None, "{url}");
        }
    }
}
