//! The fields that a browser sends.

/// What Firefox sends, with a referrer and two cookies: about 800 bytes,
/// but for Accept-Encoding.
pub(crate) const BROWSER: &str = "\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-GB,en;q=0.8,de-DE;q=0.5,de;q=0.3\r\n\
Referer: http://www.example.com/catalogue/2026/autumn/index.html?page=3&order=newest\r\n\
Connection: keep-alive\r\n\
Cookie: session=5f2b7c1e9a4d4e0c8b6f3a1d2c7e9f00b1a2c3d4e5f60718293a4b5c6d7e8f90; \
preferences=theme%3Ddark%26columns%3D3%26density%3Dcompact%26language%3Den-GB; \
visitor=GA1.2.1234567890.1700000000.77aa88bb99cc00dd11ee22ff33445566\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-User: ?1\r\n\
Priority: u=0, i\r\n";
