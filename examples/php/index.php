<?php

declare(strict_types=1);

// One file answers everything: .htaccess sends here whatever is no file of its own.

const PAGES = [
    '/' => ['A droplet', 'welcome'],
    '/facts' => ['What this process sees', 'facts'],
];

function welcome(): array
{
    return [
        'You are reading' => 'index.php, from a tarball that brought its own startup script.',
        'Look at' => '/facts, which this very file answers too: the route is a line of .htaccess.',
    ];
}

function facts(): array
{
    $onOff = static fn (string $setting): string => filter_var(ini_get($setting), FILTER_VALIDATE_BOOL) ? 'on' : 'off';

    return [
        'Server' => ($_SERVER['SERVER_SOFTWARE'] ?? 'none') . ' with ' . PHP_SAPI,
        'PHP' => PHP_VERSION,
        'Port' => (string) getenv('PORT'),
        'Directory' => __DIR__,
        'Memory of the instance' => getenv('MEMORY_LIMIT') ?: 'unknown',
        'Memory of one request' => (string) ini_get('memory_limit'),
        'Workers' => getenv('WEB_CONCURRENCY') ?: 'unknown',
        'OPcache' => $onOff('opcache.enable'),
        'Errors shown to visitors' => $onOff('display_errors'),
        'Services' => implode(', ', services()) ?: 'none bound',
    ];
}

/** Names of the bound services; their passwords stay where they are. */
function services(): array
{
    $groups = json_decode(getenv('VCAP_SERVICES') ?: '{}', true);

    return is_array($groups) ? array_column(array_merge(...array_values($groups)), 'name') : [];
}

function asText(string $title, array $lines): string
{
    $width = max(array_map('strlen', array_keys($lines)));
    $text = $title . "\n" . str_repeat('=', strlen($title)) . "\n";
    foreach ($lines as $name => $value) {
        $text .= str_pad($name, $width) . "  $value\n";
    }

    return $text;
}

function asHtml(string $title, array $lines): string
{
    $safe = static fn (string $text): string => htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
    $rows = '';
    foreach ($lines as $name => $value) {
        $rows .= "<dt>{$safe($name)}</dt><dd>{$safe($value)}</dd>\n";
    }

    return <<<HTML
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>{$safe($title)}</title>
        <link rel="stylesheet" href="/style.css">
        <h1>{$safe($title)}</h1>
        <dl>
        {$rows}</dl>
        <nav><a href="/">start</a> <a href="/facts">facts</a></nav>
        </html>

        HTML;
}

$path = rawurldecode((string) parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH));
[$title, $page] = PAGES[$path] ?? ['Nothing is here', null];
$lines = $page === null ? ['There is' => implode(' and ', array_keys(PAGES))] : $page();

http_response_code($page === null ? 404 : 200);
header('Vary: Accept');
if (str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'text/html')) {
    header('Content-Type: text/html; charset=utf-8');
    echo asHtml($title, $lines);
} else {
    header('Content-Type: text/plain; charset=utf-8');
    echo asText($title, $lines);
}
